import { assertOptions } from "./check.ts";
import { describe } from "../describe.ts";
import type { WatchOptions } from "../types.ts";

const ACTION = "watch circuits";

/** Checks watch options. */
export function resolveWatchOptions(options: WatchOptions): WatchOptions {
  assertOptions(ACTION, options, ["signal"]);
  const { signal } = options;
  if (
    signal === undefined || typeof signal?.aborted === "boolean" &&
      typeof signal.addEventListener === "function" &&
      typeof signal.removeEventListener === "function"
  ) {
    return { signal };
  }
  throw new TypeError(
    `Cannot ${ACTION}: "signal" must be an AbortSignal, received ${describe(signal)}`,
  );
}
