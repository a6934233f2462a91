/**
 * What stores of this package answer without waiting, for `CircuitBreaker`: a call on a circuit that
 * memory knows as closed costs it no statement, no timer and no permit. Users' own stores have no such
 * answers, and neither have those of another copy of this package: they are asked for permits.
 */

import type { CircuitState } from "./types.ts";

/** Answers of one store that take no waiting. */
export interface QuickCalls {
  /** From which duration on a call is slow, in milliseconds; `Infinity` where none is. */
  readonly slowMs: number;
  /** Whether memory knows that a circuit lets the call pass. `false`: ask for a permit. */
  admits(key: string): boolean;
  /** Counts a success of a call that was admitted so. `false`: `record` it. */
  countSuccess(key: string, isSlow: boolean): boolean;
  /** Records the result of a call that was admitted so. Returns the state after it. */
  record(key: string, outcome: "success" | "failure", durationMs: number): Promise<CircuitState>;
}

/** What a user of a store can replace, and then means to have called. */
interface Replaceable {
  acquire: unknown;
}

/** The parts of a store that have quick calls, if there are any. */
interface Quick {
  readonly quickCalls: QuickCalls | undefined;
}

/** The options of a store that say whether its circuits open at all. */
interface Tripping {
  readonly hasTrip: boolean;
}

const STORES = new WeakMap<object, Quick & Tripping & Replaceable>();

/** Notes what a store says of itself. The last argument has the method for which its quick calls stand in. */
export function provideQuickCalls(
  store: Replaceable,
  { quickCalls }: Quick,
  { hasTrip }: Tripping,
  { acquire }: Replaceable,
): void {
  STORES.set(store, { quickCalls, hasTrip, acquire });
}

/**
 * What a store answers without waiting; `undefined` for nothing, also where a subclass or a test has
 * replaced `acquire`.
 */
export function quickCallsOf(store: Replaceable): QuickCalls | undefined {
  const provided = STORES.get(store);
  return provided?.acquire === store.acquire ? provided?.quickCalls : undefined;
}

/** Whether a store of this package has no rule by which a circuit opens, and does not say that callers open circuits. */
export function lacksTrip(store: object): boolean {
  return STORES.get(store)?.hasTrip === false;
}
