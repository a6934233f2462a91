/** What can be measured: a store of this package, or a breaker. */

import { describe } from "../describe.ts";
import type { StoreObserver } from "../ports.ts";
import { type BreakerLike, BreakerTally } from "./breaker_tally.ts";
import type { Tally } from "./families.ts";
import { observationOf } from "./observation.ts";
import { StoreTally } from "./store_tally.ts";

/** How many keys have labels of their own, unless an option says otherwise. */
export const DEFAULT_MAX_KEYS = 1000;

/** A function that ends something, for `using` as well. */
export type EndMetrics = (() => void) & Disposable;

/** A target that is being measured. */
export interface Measured {
  readonly tally: Tally;
  /** Ends it. What was added up stays. */
  end(): void;
}

/** What else sees a target. */
export interface Extra {
  /** Sees a store. */
  readonly observer?: StoreObserver;
  /** Is called with the key of each execution that a breaker rejected; a long one is shortened. */
  readonly onRejected?: (key: string) => void;
}

/** Begins to measure a store or a breaker. */
export function measure(
  action: string,
  target: unknown,
  maxKeys: number,
  { observer, onRejected }: Extra = {},
): Measured {
  const observation = observationOf(target);
  if (observation !== undefined) {
    const tally = new StoreTally(observation.gauges, maxKeys);
    const ends = [tally, observer].flatMap((each) =>
      each === undefined ? [] : observation.add(each)
    );
    return { tally, end: () => ends.forEach((end) => end()) };
  }
  if (isBreaker(target)) {
    const tally = new BreakerTally(maxKeys, onRejected);
    return { tally, end: tally.listen(target) };
  }
  throw new TypeError(
    `Cannot ${action}: expected a store or a CircuitBreaker of this package, ` +
      `received ${describe(target)}`,
  );
}

function isBreaker(target: unknown): target is BreakerLike {
  return typeof target === "object" && target !== null &&
    typeof (target as BreakerLike).addEventListener === "function" &&
    typeof (target as BreakerLike).removeEventListener === "function";
}

/** A function for `using`. */
export function disposable(end: () => void): EndMetrics {
  return Object.assign(end, { [Symbol.dispose]: end });
}
