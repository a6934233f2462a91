import type { AcquireOptions, PermitOutcome } from "../permit.ts";
import type { ResultOptions } from "../types.ts";
import { assertOneOf, assertOptions, assertSignal } from "./check.ts";
import { resolveDuration } from "./result.ts";

const OUTCOMES: readonly PermitOutcome[] = ["success", "failure", "ignored"];
const REPORT = "report result";

/** Checks the options of `acquire`. Returns the signal. */
export function resolveAcquire(options: AcquireOptions | undefined): AcquireOptions["signal"] {
  if (options === undefined) return undefined;
  assertOptions("acquire permit", options, ["signal"]);
  assertSignal("acquire permit", options.signal);
  return options.signal;
}

/** Checks a report. Returns how long the call took, `undefined` where that is not known. */
export function resolveReport(
  outcome: PermitOutcome,
  options: ResultOptions | undefined,
): number | undefined {
  assertOneOf(REPORT, "outcome", outcome, OUTCOMES);
  return options && resolveDuration(REPORT, options);
}
