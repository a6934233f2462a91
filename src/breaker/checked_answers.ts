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

/** Asks a store for a permit. */
export async function permitOf(store: BreakerStore, key: CircuitKey): Promise<BreakerPermit> {
  const permit = await store.acquire(key);
  if (typeof permit?.report === "function") return permit;
  throw new TypeError(
    `Cannot execute call: "store" must resolve acquire(key) to a permit, received ${
      describe(permit)
    }`,
  );
}
