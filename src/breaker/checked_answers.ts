/** Answers of functions that users pass in, which can be anything. */

import { describe } from "../describe.ts";
import type { CircuitKey } from "../key.ts";
import type { PermitOutcome } from "../permit.ts";
import { type CallEnd, defaultClassify } from "./classify.ts";
import { type Emitter, isThenable } from "./emitter.ts";
import type { BreakerPermit, BreakerStore } from "./options.ts";

/** Says how a call counts. */
export type Classify = (end: CallEnd<never>) => PermitOutcome;

const OUTCOMES: readonly unknown[] = ["success", "failure", "ignored"];

/** After how long a refused call is worth asking again where its store does not say, in milliseconds. */
const UNKNOWN_WAIT_MS = 1000;

/** How a call counts. A mistake of `classify` never costs the caller the result. */
export function classified(end: CallEnd, classify: Classify, emitter: Emitter): PermitOutcome {
  try {
    const outcome: unknown = classify(end as CallEnd<never>);
    if (OUTCOMES.includes(outcome)) return outcome as PermitOutcome;
    if (isThenable(outcome)) Promise.resolve(outcome).catch(() => {});
    throw new TypeError(
      `Cannot classify call: "classify" must return "success", "failure" or "ignored", received ${
        describe(outcome)
      }`,
    );
  } catch (error) {
    emitter.fail(end.key, error);
  }
  try {
    return defaultClassify(end);
  } catch {
    return end.threw ? "failure" : "success"; // a result whose properties throw
  }
}

/** Asks a store for a permit. One that does not say whether the call may be made says nothing. */
export async function permitOf(store: BreakerStore, key: CircuitKey): Promise<BreakerPermit> {
  const permit = await store.acquire(key);
  if (isPermit(permit)) return permit;
  throw new TypeError(
    `Cannot execute call: "store" must resolve acquire(key) to a permit, received ${
      describe(permit)
    }`,
  );
}

/** Whether a value is a permit, as far as a call needs it. Throws where a property does. */
function isPermit(value: BreakerPermit | null | undefined): value is BreakerPermit {
  return typeof value?.report === "function" && typeof value.allowed === "boolean";
}

/** After how many whole milliseconds it is worth asking again, also where a store does not say. */
export function waitOf({ retryAfterMs }: BreakerPermit): number {
  return retryAfterMs >= 0 && retryAfterMs <= Number.MAX_SAFE_INTEGER
    ? Math.max(1, Math.ceil(retryAfterMs))
    : UNKNOWN_WAIT_MS;
}
