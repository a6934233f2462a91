/**
 * Logging: the log says of each circuit which state the fleet saw last. A row remembers that state. Where
 * the row shows another one, something happened that no statement of this library did: a forced state
 * ended by its time, or another program changed the row.
 */

import type { Circuit } from "../circuit.ts";
import type { CircuitState } from "../types.ts";
import {
  effectiveState,
  effectiveStateSql,
  forcedAt,
  hasForceSql,
  isForcedSql,
} from "./forcing.ts";

/** The columns of this rule. */
export const LOGGING_COLUMNS: readonly string[] = [
  "logged_state text not null default 'closed'",
];

/** The part of a circuit that this rule reads. */
export type Logged = Pick<Circuit, "state" | "forced">;

/** Whether the fleet sees another state than the one that the log said last. */
export function isUnlogged(circuit: Logged, loggedState: CircuitState, now: number): boolean {
  return effectiveState(circuit, now) !== loggedState;
}

/** SQL: the same of a row, given what the log said last. */
export function isUnloggedSql(row: string, loggedState: string, now: string): string {
  return `(${effectiveStateSql(row, now)} <> ${loggedState})`;
}

/**
 * The condition of the index that finds such rows, as the server prints it. It does not know the time, and
 * takes a state that this release does not know for another one: the index holds a few rows more. It holds
 * none that only this library wrote, so that a look at it costs the same however large the table is.
 */
export const UNLOGGED_INDEX = "(COALESCE(forced_state, state) <> logged_state)";

/** Why the fleet sees a state that the log does not know. */
export function unloggedCause(
  { forced }: Logged,
  loggedState: CircuitState,
  now: number,
): "expiry" | "external" {
  const hasEnded = forced !== undefined && forcedAt(forced, now) === undefined;
  return hasEnded && forced.state === loggedState ? "expiry" : "external";
}

/** SQL: the same of a row. */
export function unloggedCauseSql(row: string, loggedState: string, now: string): string {
  return `case when ${hasForceSql(row)} and not ${isForcedSql(row, now)}
    and ${row}.forced_state = ${loggedState} then 'expiry' else 'external' end`;
}
