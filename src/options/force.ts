import { assertMilliseconds, assertOptions, assertString } from "./check.ts";
import { describe } from "../describe.ts";
import type { ForceOptions } from "../types.ts";

/** A state that an operator forces on a circuit. */
export interface Force {
  state: "open" | "closed";
  /** For how long, in milliseconds; `undefined` for no end. */
  forMs: number | undefined;
  reason: string | undefined;
}

const ACTION = "force circuit";
const MAX_REASON = 1000;

/** Checks how a state is to be forced. */
export function resolveForce(state: "open" | "closed", options: ForceOptions): Force {
  assertOptions(ACTION, options, ["reason", "forMs"]);
  const { reason, forMs } = options;
  if (reason !== undefined) assertString(ACTION, "reason", reason);
  if (reason !== undefined && reason.length > MAX_REASON) {
    throw new RangeError(
      `Cannot ${ACTION}: "reason" must have at most ${MAX_REASON} characters, received ${
        describe(reason)
      }`,
    );
  }
  assertMilliseconds(ACTION, "forMs", forMs);
  return {
    state,
    forMs: forMs === undefined ? undefined : Math.ceil(forMs),
    // A text column cannot hold these characters. They are replaced, because only people read it.
    reason: reason?.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd"),
  };
}
