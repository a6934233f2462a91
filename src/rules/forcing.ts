/**
 * Forcing: while an operator's state is in force, the whole fleet sees it, and nothing moves the
 * circuit's own state.
 */

import type { ForcedState } from "../circuit.ts";
import type { CircuitState } from "../types.ts";
import { storedStateSql } from "./state.ts";

/** The columns of this rule. */
export const FORCING_COLUMNS: readonly string[] = [
  "forced_state text",
  "forced_at bigint",
  "forced_until bigint",
  "forced_reason text",
];

/** The forced state that is in force at a moment, `undefined` for none. */
export function forcedAt(
  forced: ForcedState | undefined,
  now: number,
): ForcedState | undefined {
  if (forced === undefined) return undefined;
  return forced.until === undefined || now < forced.until ? forced : undefined;
}

/** SQL: whether a forced state is in force. */
export function isForcedSql(row: string, now: string): string {
  return `(${row}.forced_state is not null and coalesce(${now} < ${row}.forced_until, true))`;
}

/** The state that the fleet sees. */
export function effectiveState(
  circuit: { state: CircuitState; forced: ForcedState | undefined },
  now: number,
): CircuitState {
  return forcedAt(circuit.forced, now)?.state ?? circuit.state;
}

/** SQL: the state that the fleet sees. */
export function effectiveStateSql(row: string, now: string): string {
  return `case when ${isForcedSql(row, now)} then ${row}.forced_state else ${
    storedStateSql(row)
  } end`;
}
