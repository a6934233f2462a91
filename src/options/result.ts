import type { ResultOptions } from "../types.ts";
import { assertNumber, assertOptions } from "./check.ts";

/** Checks what is said of a result, and returns how long its call took. */
export function resolveDuration(action: string, options: ResultOptions): number | undefined {
  assertOptions(action, options, ["durationMs"]);
  const { durationMs } = options;
  if (durationMs === undefined) return undefined;
  assertNumber(action, "durationMs", durationMs);
  if (durationMs >= 0) return durationMs;
  throw new RangeError(
    `Cannot ${action}: "durationMs" must be a number of milliseconds from 0, received ${durationMs}`,
  );
}
