import { CircuitBreakerStoreError, StoreUnavailableError } from "../errors.ts";
import type { Circuit, Deferred, Histories, Refreshed, Round } from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState, PostgresClient } from "../types.ts";
import { pruneStatement, trimStatement } from "./statements/prune.ts";
import { execute, type Execution, type Row } from "./executor.ts";
import { historyStatement, toHistories } from "./statements/history.ts";
import type { TableName } from "./identifier.ts";
import {
  addOneSuccessesStatement,
  checkStatement,
  listStatement,
  readOneStatement,
  readStatement,
  recordOneStatement,
  recordOneSuccessesStatement,
  recordStatement,
  recordSuccessesStatement,
  refreshStatement,
  resetStatement,
} from "./statements/record.ts";
import { toCircuit, toCircuits } from "./codec.ts";
import { StatementContext } from "./sql_parts.ts";
import { textArray } from "./text_array.ts";
import {
  claimStatement,
  forceStatement,
  settleStatement,
  transitionStatement,
} from "./statements/transition.ts";

/** What is to be counted for one circuit. */
export interface Tally {
  key: string;
  failures: number;
  successes: number;
}

/** How many probes of one circuit are wanted. */
export interface ClaimRequest {
  key: string;
  wanted: number;
}

/** A circuit after a claim, and how many probes were admitted. */
export interface ClaimedCircuit extends Circuit {
  granted: number;
}

/** What the table needs beside a client. */
export interface CircuitTableOptions {
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  rules: CircuitRules;
  durability: "default" | "relaxed";
  /** How long somebody waits for a statement, in milliseconds. */
  timeoutMs: number;
  /** ChangeTail of the two clocks by every statement that returned the server's. */
  onTime: (sent: number, server: number, received: number) => void;
}

/** How many circuits are remembered to have a row. */
const MAX_SEEN = 1000;

/** The circuits of one table: each method is one statement, for one circuit or for many. */
export class CircuitTable {
  readonly #execution: Execution;
  readonly #options: CircuitTableOptions;
  readonly #text: ReturnType<typeof statementsOf>;
  /** Circuits that had a row when successes were last recorded for them alone. */
  readonly #seen = new Set<string>();

  constructor(client: PostgresClient, table: TableName, options: CircuitTableOptions) {
    this.#execution = { client, table, timeoutMs: options.timeoutMs };
    this.#options = options;
    this.#text = statementsOf(table, options);
  }

  /** The circuits that exist among the keys, in no order. */
  read(keys: readonly string[]): Promise<Circuit[]> {
    return keys.length === 1
      ? this.#run("read circuit", this.#text.readOne, [keys[0]], keys[0])
      : this.#run("read circuits", this.#text.read, [textArray(keys)]);
  }

  /** Adds up successes and failures; no key may stand twice. */
  record(tallies: readonly Tally[]): Promise<Circuit[]> {
    if (tallies.length > 1) return this.#recordMany(tallies);
    const { key, failures, successes } = tallies[0]!;
    if (failures > 0) {
      const params = [key, `${failures}`, `${successes}`];
      return this.#run("record result", this.#text.recordOne, params, key);
    }
    return this.#seen.has(key)
      ? this.#addOneSuccesses(key, successes)
      : this.#recordOneSuccesses(key, successes);
  }

  #recordMany(tallies: readonly Tally[]): Promise<Circuit[]> {
    const keys = textArray(tallies.map((tally) => tally.key));
    const failures = tallies.map((tally) => tally.failures);
    const successes = textArray(tallies.map((tally) => tally.successes));
    return failures.every((each) => each === 0)
      ? this.#run("record successes", this.#text.recordSuccesses, [keys, successes])
      : this.#run("record results", this.#text.record, [keys, textArray(failures), successes]);
  }

  /** Adds to a row that is most probably there. */
  async #addOneSuccesses(key: string, successes: number): Promise<Circuit[]> {
    const { addOneSuccess, addOneSuccesses } = this.#text;
    const circuits =
      await (successes === 1
        ? this.#run("record success", addOneSuccess, [key], key)
        : this.#run("record successes", addOneSuccesses, [key, `${successes}`], key));
    return circuits.length > 0 ? circuits : this.#recordOneSuccesses(key, successes);
  }

  async #recordOneSuccesses(key: string, successes: number): Promise<Circuit[]> {
    const params = [key, `${successes}`];
    const { recordOneSuccesses } = this.#text;
    const circuits = await this.#run("record successes", recordOneSuccesses, params, key);
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(key);
    return circuits;
  }

  /** Reads circuits and counts successes of others; no key may stand twice. */
  refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    if (deferred.length === 0) {
      return this.read(keys).then((circuits) =>
        circuits.map((circuit) => ({ ...circuit, isCounted: false }))
      );
    }
    const params = [
      textArray(keys),
      textArray(deferred.map(({ key }) => key)),
      textArray(deferred.map(({ successes }) => successes)),
      textArray(deferred.map(({ version }) => version)),
    ];
    const sent = Date.now();
    return this.#query("refresh circuits", this.#text.refresh, params, (rows) => {
      const circuits = rows.flatMap((row) => {
        const isCounted = Number(row.counted) === 1;
        return toCircuits([row]).map((circuit) => ({ ...circuit, isCounted }));
      });
      this.#observe(sent, circuits[0]?.readAt);
      return circuits;
    });
  }

  /** Moves circuits to a state; no key may stand twice. Closing one without a row returns none. */
  transition(keys: readonly string[], to: CircuitState): Promise<Circuit[]> {
    return this.#run("move circuit", this.#text.transition, [
      textArray(keys),
      textArray(keys.map(() => to)),
    ]);
  }

  /** Admits as many probes as the rules allow; no key may stand twice. */
  claim(wants: readonly ClaimRequest[]): Promise<ClaimedCircuit[]> {
    const params = [
      textArray(wants.map((want) => want.key)),
      textArray(wants.map((want) => want.wanted)),
    ];
    return this.#query("claim probe", this.#text.claim!, params, (rows) =>
      rows.map((row) => ({
        ...toCircuit(row),
        granted: Number(row.granted),
      })));
  }

  /** Moves a circuit by the result of a probe, unless its round is over. */
  async settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    const params = [key, to, `${round.version}`, `${round.lastStateChange}`];
    return (await this.#run("settle probe", this.#text.settle, params, key))[0];
  }

  /** Forces a state on a circuit, or releases it. Releasing one without a row returns nothing. */
  async force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    const forMs = force?.forMs === undefined ? null : `${force.forMs}`;
    const params = [key, force?.state ?? null, forMs, force?.reason ?? null];
    return (await this.#run("force circuit", this.#text.force, params, key))[0];
  }

  /** Deletes circuits. */
  reset(keys: readonly string[]): Promise<void> {
    const params = [textArray(keys)];
    return execute(this.#execution, "reset circuit", this.#text.reset, params, () => {});
  }

  /** A page of circuits in the order of their keys. */
  list({ state, after, limit }: ResolvedListOptions): Promise<Circuit[]> {
    const params = [state ?? null, `${limit}`];
    return after === undefined
      ? this.#run("list circuits", this.#text.list, params)
      : this.#run("list circuits", this.#text.listAfter, [...params, after]);
  }

  /** What all circuits remember that have moved, or are not closed. */
  history(): Promise<Histories> {
    const sent = Date.now();
    return this.#query("read changes", this.#text.history, [], (rows) => {
      const histories = toHistories(rows);
      this.#observe(sent, histories.readAt);
      return histories;
    });
  }

  /** Removes closed circuits that nobody uses, as the only instance or as any; returns how many. */
  prune(idleMs: number, limit: number, isElected: boolean): Promise<number> {
    const { prune, pruneElected } = this.#text;
    return this.#query(
      "prune circuits",
      isElected ? pruneElected : prune,
      [`${idleMs}`, `${limit}`],
      removedOf,
    );
  }

  /** Removes the closed circuits longest idle until so many are left; returns how many it removed. */
  trim(maxCircuits: number): Promise<number> {
    return this.#query("trim circuits", this.#text.trim, [`${maxCircuits}`], removedOf);
  }

  /** Fails unless circuits can be read and written. */
  check(): Promise<void> {
    return execute(this.#execution, "check database", this.#text.check, [], (rows) => {
      if (rows[0]!.read_only === "off") return;
      throw new StoreUnavailableError("Cannot write circuits: the server is read-only", {
        sqlState: "25006",
      });
    });
  }

  /** Runs a statement that returns circuits, with their keys where it is not for a lone one. */
  #run(action: string, text: string, params: unknown[], lone?: string): Promise<Circuit[]> {
    const sent = Date.now();
    return this.#query(action, text, params, (rows) => {
      const circuits = toCircuits(rows, lone);
      this.#observe(sent, circuits[0]?.readAt);
      return circuits;
    });
  }

  /** Learns from what a statement says of the server's clock, if it says anything. */
  #observe(sent: number, server: number | undefined): void {
    if (this.#options.now !== undefined || server === undefined) return;
    this.#options.onTime(sent, server, Date.now());
  }

  #query<Result>(
    action: string,
    text: string,
    params: unknown[],
    receive: (rows: Row[]) => Result,
  ): Promise<Result> {
    const { now } = this.#options;
    if (now === undefined) return execute(this.#execution, action, text, params, receive);
    try {
      return execute(this.#execution, action, text, [`${readClock(now)}`, ...params], receive);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

function statementsOf(table: TableName, { now, rules, durability }: CircuitTableOptions) {
  const context = new StatementContext(table, rules, now !== undefined, durability);
  return {
    read: readStatement(context),
    readOne: readOneStatement(context),
    record: recordStatement(context),
    recordOne: recordOneStatement(context),
    recordSuccesses: recordSuccessesStatement(context),
    recordOneSuccesses: recordOneSuccessesStatement(context),
    addOneSuccess: addOneSuccessesStatement(context, true),
    addOneSuccesses: addOneSuccessesStatement(context, false),
    refresh: refreshStatement(context),
    transition: transitionStatement(context),
    claim: rules.probing === undefined ? undefined : claimStatement(context, rules.probing),
    settle: settleStatement(context),
    force: forceStatement(context),
    reset: resetStatement(table),
    check: checkStatement(table),
    prune: pruneStatement(context, false),
    pruneElected: pruneStatement(context, true),
    trim: trimStatement(context),
    list: listStatement(context, false),
    listAfter: listStatement(context, true),
    history: historyStatement(context),
  };
}

function readClock(now: () => number): number {
  const time = now();
  if (Number.isSafeInteger(Math.floor(time))) return Math.floor(time);
  throw new CircuitBreakerStoreError(
    `Cannot read the clock: "now" must return epoch milliseconds, received ${time}`,
  );
}

function removedOf(rows: Row[]): number {
  return Number(rows[0]!.removed);
}
