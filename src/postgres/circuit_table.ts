import { CircuitBreakerStoreError } from "../errors.ts";
import type { Circuit, Force, ForcedState, Round } from "../circuit.ts";
import type { ResolvedListOptions } from "../list_options.ts";
import type { CircuitRules } from "../options.ts";
import { type CircuitState, MAX_COUNT, type PostgresClient } from "../types.ts";
import { execute, type Row } from "./executor.ts";
import type { TableName } from "./identifier.ts";
import {
  listStatement,
  readOneStatement,
  readStatement,
  recordOneStatement,
  recordStatement,
  recordSuccessStatement,
  resetStatement,
} from "./statements.ts";
import { textArray } from "./text_array.ts";
import {
  claimStatement,
  forceStatement,
  settleStatement,
  transitionStatement,
} from "./transition_statements.ts";

/** What is to be counted for one circuit. */
export interface Tally {
  key: string;
  failures: number;
  successes: number;
}

/** How many probes of one circuit are wanted. */
export interface Want {
  key: string;
  wanted: number;
}

/** A circuit after a claim, and how many probes were admitted. */
export interface Claimed extends Circuit {
  granted: number;
}

/** What the table needs beside a client. */
export interface CircuitTableOptions {
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  rules: CircuitRules;
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
    this.#text = statementsOf(table, options.rules);
  }

  /** The circuits that exist among the keys, in no order. */
  async read(keys: readonly string[]): Promise<Circuit[]> {
    if (keys.length === 1) {
      const key = keys[0]!;
      return toCircuits(await this.#run("read circuit", this.#text.readOne, [key]), key);
    }
    return toCircuits(await this.#run("read circuit", this.#text.read, [textArray(keys)]));
  }

  /** Adds up successes and failures; no key may stand twice. */
  async record(tallies: readonly Tally[]): Promise<Circuit[]> {
    if (tallies.length === 1) {
      const { key, failures, successes } = tallies[0]!;
      const rows = failures === 0
        ? this.#run("record success", this.#text.recordSuccess, [key, String(successes)])
        : this.#run("record result", this.#text.recordOne, [
          key,
          String(failures),
          String(successes),
        ]);
      return toCircuits(await rows, key);
    }
    return toCircuits(
      await this.#run("record result", this.#text.record, [
        textArray(tallies.map((tally) => tally.key)),
        textArray(tallies.map((tally) => tally.failures)),
        textArray(tallies.map((tally) => tally.successes)),
      ]),
    );
  }

  /** Moves circuits to a state; no key may stand twice. Closing one without a row returns none. */
  async transition(keys: readonly string[], to: CircuitState): Promise<Circuit[]> {
    const rows = await this.#run("move circuit", this.#text.transition, [
      textArray(keys),
      textArray(keys.map(() => to)),
    ]);
    return toCircuits(rows);
  }

  /** Admits as many probes as the rules allow; no key may stand twice. */
  async claim(wants: readonly Want[]): Promise<Claimed[]> {
    const rows = await this.#run("claim probe", this.#text.claim!, [
      textArray(wants.map((want) => want.key)),
      textArray(wants.map((want) => want.wanted)),
    ]);
    return rows.map((row) => ({
      ...toCircuit(row, row.key as string),
      granted: Number(row.granted),
    }));
  }

  /** Moves a circuit by the result of a probe, unless its round is over. */
  async settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    const rows = await this.#run("settle probe", this.#text.settle, [
      key,
      to,
      String(round.version),
      String(round.lastStateChange),
    ]);
    return toCircuits(rows, key)[0];
  }

  /** Forces a state on a circuit, or releases it. Releasing one without a row returns nothing. */
  async force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    const rows = await this.#run("force circuit", this.#text.force, [
      key,
      force?.state ?? null,
      force?.forMs === undefined ? null : String(force.forMs),
      force?.reason ?? null,
    ]);
    return toCircuits(rows, key)[0];
  }

  /** Deletes circuits. */
  async reset(keys: readonly string[]): Promise<void> {
    await execute(this.#client, this.#table, "reset circuit", this.#text.reset, [textArray(keys)]);
  }

  /** A page of circuits in the order of their keys. */
  async list({ state, after, limit }: ResolvedListOptions): Promise<Circuit[]> {
    const params = [state ?? null, String(limit)];
    const rows = after === undefined
      ? await this.#run("list circuits", this.#text.list, params)
      : await this.#run("list circuits", this.#text.listAfter, [...params, after]);
    return toCircuits(rows);
  }

  async #run(action: string, text: string, params: unknown[]): Promise<Row[]> {
    const { now, onTime } = this.#options;
    const clock = now === undefined ? null : String(readClock(now));
    const sent = Date.now();
    const rows = await execute(this.#client, this.#table, action, text, [clock, ...params]);
    if (now === undefined && rows.length > 0) {
      onTime(sent, Number(rows[0]!.server_now), Date.now());
    }
    return rows;
  }
}

function statementsOf(table: TableName, rules: CircuitRules) {
  const context = { table, rules };
  return {
    read: readStatement(context),
    readOne: readOneStatement(context),
    record: recordStatement(context),
    recordOne: recordOneStatement(context),
    recordSuccess: recordSuccessStatement(context),
    transition: transitionStatement(context),
    claim: rules.probing === undefined ? undefined : claimStatement(context, rules.probing),
    settle: settleStatement(context),
    force: forceStatement(context),
    reset: resetStatement(context),
    list: listStatement(context, false),
    listAfter: listStatement(context, true),
  };
}

function readClock(now: () => number): number {
  const time = now();
  if (Number.isSafeInteger(Math.floor(time))) return Math.floor(time);
  throw new CircuitBreakerStoreError(
    `Cannot read the clock: "now" must return epoch milliseconds, received ${time}`,
  );
}

/** The circuits in the rows; a statement for one key leaves it out of its row. */
function toCircuits(rows: Row[], key?: string): Circuit[] {
  return rows.map((row) => toCircuit(row, key ?? row.key as string));
}

/** The one place in which what a driver returned becomes numbers. */
function toCircuit(row: Row, key: string): Circuit {
  return {
    key,
    state: row.state === "open" || row.state === "half-open" ? row.state : "closed",
    failureCount: Math.min(Number(row.failure_count), MAX_COUNT),
    successCount: Math.min(Number(row.success_count), MAX_COUNT),
    lastFailureTime: Number(row.last_failure_time),
    lastStateChange: Number(row.last_state_change),
    version: Number(row.version ?? 0),
    probeCount: Number(row.probe_count ?? 0),
    probeExpiresAt: Number(row.probe_expires_at ?? 0),
    forced: row.forced === null ? undefined : toForced(row.forced as string),
    readAt: Number(row.server_now),
  };
}

function toForced(json: string): ForcedState {
  const [state, at, until, reason] = JSON.parse(json);
  return { state, at, until: until ?? undefined, reason: reason ?? undefined };
}
