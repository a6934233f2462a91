/** What the text of a store's statements depends on, and the pieces that several families share. */

import type { CircuitRules } from "../../options/store_options.ts";
import type { TableName } from "../identifier.ts";

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
      : "floor(date_part('epoch', clock_timestamp()) * 1000::double precision)::bigint";
    this.#firstParameter = isCallersClock ? 2 : 1;
  }

  /** The statement's own parameters in their order, beginning with 0: text, to be cast. */
  param(index: number): string {
    return `$${this.#firstParameter + index}::text`;
  }

  /**
   * The calls of a statement: rows of the columns that `types` names, from parameters that are arrays,
   * the first of which has the number `first`. The planner does not see how many there are, so that it
   * plans once for all numbers.
   */
  calls(types: Readonly<Record<string, string>>, first = 0): string {
    const names = Object.keys(types);
    const arrays = names.map((name, i) => `${this.param(first + i)}::${types[name]}[] as ${name}`);
    const columns = names.map((name) => `pg_catalog.unnest(given.${name})`);
    return `select call.* from (select ${arrays.join(", ")} offset 0) as given,
    rows from (${columns.join(", ")}) as call (${names.join(", ")})`;
  }

  /** The time of a statement for many circuits, whose rows need not look at the clock one by one. */
  get statementTime(): string {
    return `(select ${this.now})`;
  }
}

/**
 * A condition that is always true and never evaluated, for the planner alone. A statement may be
 * planned once, while the table is small enough to be read whole, and be run with that plan when
 * random keys have filled it. Rows that seem expensive to look at make the index the better choice
 * from some twenty rows on, and not so expensive that the server compiles the statement by default, which
 * takes longer than to run it. The form for a single key goes without: it would pay more than it saves.
 */
export const BY_INDEX: string = `case when c.version < 0
  then (select count(*) from generate_series(1, 100) as i where i > c.version) >= 0
  else true end`;

/** A row as a driver returns it. */
export type Row = Record<string, unknown>;

/** One statement: its text, its parameters and what its rows mean, side by side. */
export interface Statement<Args extends unknown[], Result> {
  /** What it does, for errors: "read circuit". */
  readonly action: string;
  /** Whether it only reads, so that it may be sent again whatever became of it. */
  readonly isRead?: boolean;
  /** Whether the caller's clock is not among its parameters, which are then numbered from 1. */
  readonly hasNoClock?: boolean;
  readonly text: string;
  /** Its own parameters. The caller's clock is not among them. */
  encode(...args: Args): (string | null)[];
  decode(rows: Row[], ...args: Args): Result;
  /** The server's time in a result, where it is the time of that moment. */
  timeOf?(result: Result): number | undefined;
}
