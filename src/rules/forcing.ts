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
  "forced_by text",
];

/** The forced state that is in force at a moment, `undefined` for none. */
export function forcedAt(
  forced: ForcedState | undefined,
  now: number,
): ForcedState | undefined {
  if (forced === undefined) return undefined;
  return forced.until === undefined || now < forced.until ? forced : undefined;
}

/** SQL: whether a forced state is in force. A state that this release does not know forces nothing. */
export function isForcedSql(row: string, now: string): string {
  return `(${hasForceSql(row)} and coalesce(${now} < ${row}.forced_until, true))`;
}

/** SQL: whether a row holds a forced state, in force or not. */
export function hasForceSql(row: string): string {
  return `coalesce(${row}.forced_state in ('open', 'closed'), false)`;
}

/** Whether a circuit holds a forced state, in force or not. */
export function hasForce({ forced }: { forced: ForcedState | undefined }): boolean {
  return forced !== undefined;
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
