/**
 * Tripping: the caller decides when a circuit opens. Where the store admits probes, two rules bind
 * the caller. A late result of a probe opens only a circuit that is due to open. A straggler, which
 * is a late move to open, does not open a circuit that is not closed.
 */

import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { type Counted, countFailures, countFailuresSql } from "./counting.ts";
import { storedStateSql } from "./state.ts";

/** Whether a closed circuit has failed often enough to open. */
export function isTripDue(
  circuit: Counted & { state: CircuitState },
  now: number,
  rules: CircuitRules,
): boolean {
  const { failureThreshold } = rules;
  return failureThreshold !== undefined && circuit.state === "closed" &&
    countFailures(circuit, now, rules) >= failureThreshold;
}

/** SQL: whether the closed circuit of a row has failed often enough to open. */
export function isTripDueSql(row: string, now: string, rules: CircuitRules): string {
  const { failureThreshold } = rules;
  if (failureThreshold === undefined) return "false";
  return `(${storedStateSql(row)} = 'closed' and ${
    countFailuresSql(row, now, rules)
  } >= ${failureThreshold})`;
}

/** Whether a caller's move comes too late: it would open a circuit that is probed by others. */
export function isStraggler(from: CircuitState, to: CircuitState, rules: CircuitRules): boolean {
  return rules.probing !== undefined && to === "open" && from !== "closed";
}

/** SQL: whether a caller's move of a row comes too late. */
export function isStragglerSql(row: string, to: string, rules: CircuitRules): string {
  return rules.probing === undefined
    ? "false"
    : `(${to} = 'open' and ${storedStateSql(row)} <> 'closed')`;
}
