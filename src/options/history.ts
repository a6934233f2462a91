import {
  assertBoolean,
  assertCount,
  assertKey,
  assertNumber,
  assertOptions,
  assertString,
} from "./check.ts";
import type { CircuitKey } from "../key.ts";
import type { HistoryOptions } from "../operator_types.ts";

const ACTION = "read history";

/** About the year 287,000, and as long before 1970. */
const MAX_TIME = 9e15;

/** History options with the defaults filled in. The cursor is not decoded. */
export interface ResolvedHistoryOptions {
  key: CircuitKey | undefined;
  since: number | undefined;
  after: string | undefined;
  limit: number;
  rounds: boolean;
}

/** Checks history options and fills in the defaults. */
export function resolveHistoryOptions(options: HistoryOptions): ResolvedHistoryOptions {
  assertOptions(ACTION, options, ["key", "since", "after", "limit", "rounds"]);
  const { key, since, after, limit = 100, rounds = false } = options;
  if (key !== undefined) assertKey(ACTION, key);
  if (since !== undefined) assertTime(since);
  if (after !== undefined) assertString(ACTION, "after", after);
  assertCount(ACTION, "limit", limit, 1, 10_000);
  assertBoolean(ACTION, "rounds", rounds);
  return { key, since, after, limit, rounds };
}

function assertTime(since: unknown): void {
  assertNumber(ACTION, "since", since);
  if (Math.abs(since) <= MAX_TIME) return;
  throw new RangeError(
    `Cannot ${ACTION}: "since" must be a time in epoch milliseconds, received ${since}`,
  );
}
