/** Pieces of SQL that several statements share. */

import type { CircuitRules } from "../options.ts";
import type { TableName } from "./identifier.ts";

/** What the text of a store's statements depends on. */
export interface StatementContext {
  readonly table: TableName;
  readonly rules: CircuitRules;
}

/**
 * Epoch milliseconds of the clock that decides: the caller's where `$1` holds one, otherwise the
 * database's. Not `now()`, which stands still in a transaction. In a SET list it is evaluated after
 * the row's lock was got, so that a wait for the lock does not make the time old.
 */
export const NOW =
  "coalesce($1::text::bigint, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)";

/**
 * What every statement returns. Cast, so that a migration that widens a column under a running
 * gateway does not change the type of a result it has prepared (0A000). What an operator forced is
 * one column, because a column costs more than the rare row that has it.
 */
export function columns({ rules }: StatementContext, now: string = NOW): string {
  const failures = rules.failureWindowMs === undefined
    ? "circuit.failure_count"
    : recentFailures(rules.failureWindowMs, now);
  const probing = rules.probing === undefined
    ? ""
    : ", circuit.version::bigint, circuit.probe_count::int, circuit.probe_expires_at::bigint";
  return `circuit.state::text, ${failures}::bigint as failure_count, circuit.success_count::bigint,
  circuit.last_failure_time::bigint, circuit.last_state_change::bigint,
  case when circuit.forced_state is not null then json_build_array(
    circuit.forced_state, circuit.forced_at, circuit.forced_until, circuit.forced_reason
  )::text end as forced${probing}, ${now} as server_now`;
}

/** The same where many circuits may come back. */
export function keyedColumns(context: StatementContext, now: string = NOW): string {
  return `circuit.key::text, ${columns(context, now)}`;
}

/** The failures of the window. A time ahead by more than it was stamped before a clock was set back. */
function recentFailures(windowMs: number, now: string): string {
  return `(
    select count(*) from unnest(circuit.recent_failures) as failure (at), (select ${now} as now) clock
    where abs(now - at) < ${windowMs}
  )`;
}

/** The failure count that decides whether a circuit is due to open. */
export function decidingFailures({ rules }: StatementContext, now: string): string {
  return rules.failureWindowMs === undefined
    ? "circuit.failure_count"
    : recentFailures(rules.failureWindowMs, now);
}

/** What a row's state counts as: one that nobody knows reads as closed, for traffic must go on. */
export function storedState(row: string): string {
  return `case when ${row}.state in ('open', 'half-open') then ${row}.state else 'closed' end`;
}

/** Whether an operator's state is in force. */
export function isForced(row: string, now: string = NOW): string {
  return `(${row}.forced_state is not null and coalesce(${now} < ${row}.forced_until, true))`;
}

/** A row's state as the fleet sees it. */
export function effectiveState(row: string): string {
  return `case when ${isForced(row)} then ${row}.forced_state else ${storedState(row)} end`;
}
