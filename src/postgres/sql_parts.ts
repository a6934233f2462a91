/** Pieces of SQL that several statements share. */

import type { CircuitRules } from "../options/store_options.ts";
import type { TableName } from "./identifier.ts";

/** What the text of a store's statements depends on. */
export class StatementContext {
  readonly table: TableName;
  readonly rules: CircuitRules;
  /**
   * Epoch milliseconds of the clock that decides: the caller's, which is the first parameter of
   * every statement then, otherwise the database's. Not `now()`, which stands still in a
   * transaction. In a SET list it is evaluated after the row's lock was got, so that a wait for the
   * lock does not make the time old.
   */
  readonly now: string;
  /** What recording adds to its result so that its commit does not wait for the disk, if so. */
  readonly relaxation: string;
  readonly #firstParameter: number;

  constructor(
    table: TableName,
    rules: CircuitRules,
    isCallersClock: boolean,
    durability: "default" | "relaxed",
  ) {
    this.table = table;
    this.rules = rules;
    // For this transaction only, which is the statement: no state of the session, no pooler minds.
    this.relaxation = durability === "relaxed"
      ? ", set_config('synchronous_commit', 'off', true) as durability"
      : "";
    this.now = isCallersClock
      ? "$1::text::bigint"
      : "floor(date_part('epoch', clock_timestamp()) * 1000)::bigint";
    this.#firstParameter = isCallersClock ? 2 : 1;
  }

  /** The statement's own parameters in their order, beginning with 0: text, to be cast. */
  param(index: number): string {
    return `$${this.#firstParameter + index}::text`;
  }
}

/**
 * A condition that is always true and never evaluated, for the planner alone. A statement may be
 * planned once, while the table is small enough to be read whole, and be run with that plan when
 * random keys have filled it. Rows that seem expensive to look at make the index the better choice
 * from some twenty rows on. The form for a lone key goes without: it would pay more than it can save.
 */
export const BY_INDEX: string = `case when c.version < 0
  then (select count(*) from generate_series(1, 10000) as i where i > c.version) >= 0
  else true end`;

/** The failures of the window. A time ahead by more than it was stamped before a clock was set back. */
export function recentFailures(windowMs: number, now: string): string {
  return `(
    select count(*) from unnest(c.recent_failures) as failure (at), (select ${now} as now) clock
    where abs(now - at) < ${windowMs}
  )`;
}

/** The failure count that decides whether a circuit is due to open. */
export function decidingFailures({ rules }: StatementContext, now: string): string {
  return rules.failureWindowMs === undefined
    ? "c.failure_count"
    : recentFailures(rules.failureWindowMs, now);
}

/** What a row's state counts as: one that nobody knows reads as closed, for traffic must go on. */
export function storedState(row: string): string {
  return `case when ${row}.state in ('open', 'half-open') then ${row}.state else 'closed' end`;
}

/** Whether an operator's state is in force. */
export function isForced(row: string, now: string): string {
  return `(${row}.forced_state is not null and coalesce(${now} < ${row}.forced_until, true))`;
}

/** A row's state as the fleet sees it. */
export function effectiveState(row: string, now: string): string {
  return `case when ${isForced(row, now)} then ${row}.forced_state else ${storedState(row)} end`;
}
