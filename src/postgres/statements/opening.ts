/** What a closed row gets when it opens, from each statement that opens circuits. */

import type { CircuitRules } from "../../options/store_options.ts";
import { openingSql } from "../../rules/backoff.ts";

/** SQL: the columns of a closed row that opens, beside its state and its version, by their names. */
export function openedColumnsSql(
  row: string,
  now: string,
  rules: CircuitRules,
): Record<string, string> {
  return {
    last_state_change: now,
    opened_at: now,
    suspect_at: "0",
    probe_count: "0",
    probe_expires_at: "0",
    probe_settled: "0",
    probe_successes: "0",
    ...openingSql(row, now, rules),
  };
}

/** SQL: the same, for a row that opens where a condition says so, and otherwise keeps its columns. */
export function openedWhereSql(
  condition: string,
  row: string,
  now: string,
  rules: CircuitRules,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(openedColumnsSql(row, now, rules)).map(([column, value]) => [
      column,
      `case when ${condition} then ${value} else ${row}.${column} end`,
    ]),
  );
}
