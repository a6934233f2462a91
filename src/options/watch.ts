import {
  assertBoolean,
  assertFunction,
  assertOptions,
  assertSignal,
  assertString,
} from "./check.ts";
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
  assertSignal(ACTION, signal);
  if (after !== undefined) assertString(ACTION, "after", after);
  assertBoolean(ACTION, "rounds", rounds);
  assertFunction(ACTION, "onBreak", onBreak);
  return { signal, after, rounds, onBreak };
}
