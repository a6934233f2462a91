import { assertBoolean, assertFunction, assertOptions, assertString } from "./check.ts";
import { describe } from "../describe.ts";
import type { WatchOptions } from "../operator_types.ts";

const ACTION = "watch circuits";

/** Watch options with the defaults filled in. The cursor is not decoded. */
export interface ResolvedWatchOptions {
  signal: WatchOptions["signal"];
  after: string | undefined;
  rounds: boolean;
  onBreak: WatchOptions["onBreak"];
}

/** Checks watch options and fills in the defaults. */
export function resolveWatchOptions(options: WatchOptions): ResolvedWatchOptions {
  assertOptions(ACTION, options, ["signal", "after", "rounds", "onBreak"]);
  const { signal, after, rounds = false, onBreak } = options;
  if (signal !== undefined && !isSignal(signal)) {
    throw new TypeError(
      `Cannot ${ACTION}: "signal" must be an AbortSignal, received ${describe(signal)}`,
    );
  }
  if (after !== undefined) assertString(ACTION, "after", after);
  assertBoolean(ACTION, "rounds", rounds);
  assertFunction(ACTION, "onBreak", onBreak);
  return { signal, after, rounds, onBreak };
}

function isSignal(signal: NonNullable<WatchOptions["signal"]> | null): boolean {
  return typeof signal?.aborted === "boolean" &&
    typeof signal.addEventListener === "function" &&
    typeof signal.removeEventListener === "function";
}
