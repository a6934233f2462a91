import { CircuitBreakerStoreError } from "../errors.ts";
import { type CircuitState, MAX_COUNT, type PostgresClient } from "../types.ts";
import type { ResolvedListOptions } from "../list_options.ts";
import { execute, type Row } from "./executor.ts";
import type { TableName } from "./identifier.ts";
import {
  listStatement,
  readOneStatement,
  readStatement,
  recordOneStatement,
  recordStatement,
  resetStatement,
  transitionStatement,
} from "./statements.ts";
import { textArray } from "./text_array.ts";

/** A circuit as the table holds it: times by the clock that decides, not by the caller's. */
export interface Circuit {
  key: string;
  state: CircuitState;
  failureCount: number;
  successCount: number;
  lastFailureTime: number;
  lastStateChange: number;
}

/** What is to be counted for one circuit. */
export interface Tally {
  key: string;
  failures: number;
  successes: number;
}

/** Where one circuit is to be moved. */
export interface Move {
  key: string;
  to: CircuitState;
}

/** What the table needs beside a client. */
export interface CircuitTableOptions {
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  /** Told of the two clocks by every statement that returned the server's. */
  onTime: (sent: number, server: number, received: number) => void;
}

/** The circuits of one table: each method is one statement, for one circuit or for many. */
export class CircuitTable {
  readonly #client: PostgresClient;
  readonly #table: TableName;
  readonly #options: CircuitTableOptions;
  readonly #text: ReturnType<typeof statementsOf>;

  constructor(client: PostgresClient, table: TableName, options: CircuitTableOptions) {
    this.#client = client;
    this.#table = table;
    this.#options = options;
    this.#text = statementsOf(table);
  }

  /** The circuits that exist among the keys, in no order. */
  read(keys: readonly string[]): Promise<Circuit[]> {
    return keys.length === 1
      ? this.#run("read circuit", this.#text.readOne, [keys[0]])
      : this.#run("read circuit", this.#text.read, [textArray(keys)]);
  }

  /** Adds up successes and failures; no key may stand twice. */
  record(tallies: readonly Tally[]): Promise<Circuit[]> {
    if (tallies.length === 1) {
      const { key, failures, successes } = tallies[0]!;
      const params = [key, String(failures), String(successes)];
      return this.#run("record result", this.#text.recordOne, params);
    }
    return this.#run("record result", this.#text.record, [
      textArray(tallies.map((tally) => tally.key)),
      textArray(tallies.map((tally) => tally.failures)),
      textArray(tallies.map((tally) => tally.successes)),
    ]);
  }

  /** Moves circuits to states; no key may stand twice. Closing one without a row returns none. */
  transition(moves: readonly Move[]): Promise<Circuit[]> {
    return this.#run("move circuit", this.#text.transition, [
      textArray(moves.map((move) => move.key)),
      textArray(moves.map((move) => move.to)),
    ]);
  }

  /** Deletes circuits. */
  async reset(keys: readonly string[]): Promise<void> {
    await execute(this.#client, this.#table, "reset circuit", this.#text.reset, [textArray(keys)]);
  }

  /** A page of circuits in the order of their keys. */
  list({ state, after, limit }: ResolvedListOptions): Promise<Circuit[]> {
    const params = [state ?? null, String(limit)];
    return after === undefined
      ? this.#run("list circuits", this.#text.list, params)
      : this.#run("list circuits", this.#text.listAfter, [...params, after]);
  }

  async #run(action: string, text: string, params: unknown[]): Promise<Circuit[]> {
    const { now, onTime } = this.#options;
    const clock = now === undefined ? null : String(readClock(now));
    const sent = Date.now();
    const rows = await execute(this.#client, this.#table, action, text, [clock, ...params]);
    if (now === undefined && rows.length > 0) {
      onTime(sent, Number(rows[0]!.server_now), Date.now());
    }
    return rows.map(toCircuit);
  }
}

function statementsOf(table: TableName) {
  return {
    read: readStatement(table),
    readOne: readOneStatement(table),
    record: recordStatement(table),
    recordOne: recordOneStatement(table),
    transition: transitionStatement(table),
    reset: resetStatement(table),
    list: listStatement(table, false),
    listAfter: listStatement(table, true),
  };
}

function readClock(now: () => number): number {
  const time = now();
  if (Number.isSafeInteger(Math.floor(time))) return Math.floor(time);
  throw new CircuitBreakerStoreError(
    `Cannot read the clock: "now" must return epoch milliseconds, received ${time}`,
  );
}

/** The one place in which what a driver returned becomes numbers. */
function toCircuit(row: Row): Circuit {
  return {
    key: row.key as string,
    state: row.state === "open" || row.state === "half-open" ? row.state : "closed",
    failureCount: Math.min(Number(row.failure_count), MAX_COUNT),
    successCount: Math.min(Number(row.success_count), MAX_COUNT),
    lastFailureTime: Number(row.last_failure_time),
    lastStateChange: Number(row.last_state_change),
  };
}
