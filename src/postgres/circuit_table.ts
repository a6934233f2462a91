import type { Circuit, Round } from "../circuit.ts";
import { describe } from "../describe.ts";
import type { RunAlone } from "../client_traits.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { Deferred, Histories, PruneRequest, Refreshed } from "../ports.ts";
import type { CircuitState, PostgresClient } from "../types.ts";
import { type Demand, execute, type Execution } from "./executor.ts";
import type { TableName } from "./identifier.ts";
import { ReadOnlySessions } from "./read_only_sessions.ts";
import { checkStatement, type Closing, type SessionState } from "./statements/check.ts";
import { type Statement, StatementContext } from "./statements/context.ts";
import { forceStatement, resetStatement } from "./statements/force.ts";
import { historyStatement } from "./statements/history.ts";
import {
  type ClaimedCircuit,
  type ClaimRequest,
  claimStatement,
  settleStatement,
} from "./statements/probe.ts";
import { pruneStatement, trimStatement } from "./statements/prune.ts";
import { listStatement, readManyStatement, readOneStatement } from "./statements/read.ts";
import {
  addSuccessesStatement,
  recordOneStatement,
  recordOneSuccessesStatement,
  recordStatement,
  recordSuccessesStatement,
  type Tally,
} from "./statements/record.ts";
import { refreshStatement } from "./statements/refresh.ts";
import { transitionStatement } from "./statements/transition.ts";

/** What the table needs beside a client. */
export interface CircuitTableOptions {
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  rules: CircuitRules;
  durability: "default" | "relaxed";
  /** How the client runs a statement from inside of which the server may close the connection. */
  runAlone: () => RunAlone | undefined;
  /** Whether the process was held up since a moment of `performance.now()`. */
  wasHeldUpSince: (moment: number) => boolean;
  /** Called with both clocks after every statement that returned the server's. */
  onTime: (sent: number, server: number, received: number) => void;
}

/** How many circuits are remembered to have a row. */
const MAX_SEEN = 1000;

/**
 * The circuits of one table. Each method is one statement, for one circuit or for many. No key may
 * stand twice in a call. A statement that was rolled back is sent again while a call waits for it.
 */
export class CircuitTable {
  /** The sessions of the client, as far as they take no writes. */
  readonly sessions: ReadOnlySessions;
  readonly #execution: Execution;
  readonly #options: CircuitTableOptions;
  readonly #statements: ReturnType<typeof statementsOf>;
  /** Circuits that had a row when successes were last recorded for them alone. */
  readonly #seen = new Set<string>();

  constructor(client: PostgresClient, table: TableName, options: CircuitTableOptions) {
    const { runAlone, wasHeldUpSince } = options;
    this.sessions = new ReadOnlySessions({
      look: (closing) => this.#look(closing),
      mayClose: () => runAlone() !== undefined,
    });
    this.#execution = { client, table, wasHeldUpSince, onReadOnly: this.sessions.met };
    this.#options = options;
    this.#statements = statementsOf(table, options);
  }

  /** The circuits that exist among the keys, in no order. */
  read(keys: readonly string[], demand: Demand): Promise<Circuit[]> {
    const { readOne, readMany } = this.#statements;
    return keys.length === 1
      ? this.#run(readOne, demand, keys[0]!)
      : this.#run(readMany, demand, keys);
  }

  /** Adds up successes and failures. */
  record(tallies: readonly Tally[], demand: Demand): Promise<Circuit[]> {
    const { record, recordSuccesses, recordOne } = this.#statements;
    const hasFailures = tallies.some(({ failures }) => failures > 0);
    if (tallies.length > 1) {
      return this.#run(hasFailures ? record : recordSuccesses, demand, tallies);
    }
    const tally = tallies[0]!;
    if (hasFailures) return this.#run(recordOne, demand, tally);
    return this.#seen.has(tally.key)
      ? this.#addSuccesses(tally, demand)
      : this.#recordSuccesses(tally, demand);
  }

  /** Adds to a row that is most probably there. */
  async #addSuccesses(tally: Tally, demand: Demand): Promise<Circuit[]> {
    const { addSuccess, addSuccesses } = this.#statements;
    const statement = tally.successes === 1 ? addSuccess : addSuccesses;
    const circuits = await this.#run(statement, demand, tally);
    return circuits.length > 0 ? circuits : await this.#recordSuccesses(tally, demand);
  }

  async #recordSuccesses(tally: Tally, demand: Demand): Promise<Circuit[]> {
    const circuits = await this.#run(this.#statements.recordOneSuccesses, demand, tally);
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(tally.key);
    return circuits;
  }

  /** Reads circuits and counts deferred successes. */
  async refresh(
    keys: readonly string[],
    deferred: readonly Deferred[],
    demand: Demand,
  ): Promise<Refreshed[]> {
    if (deferred.length > 0) {
      return await this.#run(this.#statements.refresh, demand, keys, deferred);
    }
    const circuits = await this.read(keys, demand);
    return circuits.map((circuit) => ({ ...circuit, isCounted: false }));
  }

  /** Moves circuits to a state. Closing one without a row returns none. */
  transition(
    keys: readonly string[],
    to: CircuitState,
    demand: Demand,
  ): Promise<Circuit[]> {
    return this.#run(this.#statements.transition, demand, keys, to);
  }

  /** Admits as many probes as the rules allow. */
  claim(requests: readonly ClaimRequest[], demand: Demand): Promise<ClaimedCircuit[]> {
    return this.#run(this.#statements.claim!, demand, requests);
  }

  /** Moves a circuit by the result of a probe, unless its round is over. */
  async settle(
    key: string,
    to: CircuitState,
    round: Round,
    demand: Demand,
  ): Promise<Circuit | undefined> {
    return (await this.#run(this.#statements.settle, demand, key, to, round))[0];
  }

  /** Forces a state on a circuit, or releases it. Releasing one without a row returns nothing. */
  async force(
    key: string,
    force: Force | undefined,
    demand: Demand,
  ): Promise<Circuit | undefined> {
    return (await this.#run(this.#statements.force, demand, key, force))[0];
  }

  /** Deletes a circuit. */
  reset(key: string, demand: Demand): Promise<void> {
    return this.#run(this.#statements.reset, demand, key);
  }

  /** A page of circuits in the order of their keys. */
  list(options: ResolvedListOptions, demand: Demand): Promise<Circuit[]> {
    const { list, listAfter } = this.#statements;
    return this.#run(options.after === undefined ? list : listAfter, demand, options);
  }

  /** What all circuits remember that have moved, or are not closed. */
  history(demand: Demand): Promise<Histories> {
    return this.#run(this.#statements.history, demand);
  }

  /** Removes closed circuits that are not used; returns how many. */
  prune({ idleMs, limit, isElected }: PruneRequest, demand: Demand): Promise<number> {
    const { prune, pruneElected } = this.#statements;
    return this.#run(isElected ? pruneElected : prune, demand, idleMs, limit);
  }

  /** Removes the closed circuits longest idle, down to a number of circuits; returns how many. */
  trim(maxCircuits: number, demand: Demand): Promise<number> {
    return this.#run(this.#statements.trim, demand, maxCircuits);
  }

  /** Looks at one session, on a connection that may end with it where a session is to be closed. */
  #look(closing: Closing | undefined): Promise<SessionState> {
    const { check } = this.#statements;
    const alone = closing === undefined ? undefined : this.#options.runAlone();
    const execution = alone === undefined
      ? this.#execution
      : { ...this.#execution, client: { query: alone } };
    const params = check.encode(closing);
    return execute(
      execution,
      check,
      params,
      onceNow(),
      (rows) => check.decode(rows, closing),
    );
  }

  #run<Args extends unknown[], Result>(
    statement: Statement<Args, Result>,
    demand: Demand,
    ...args: Args
  ): Promise<Result> {
    const { now } = this.#options;
    const params = statement.encode(...args);
    if (now !== undefined && !statement.hasNoClock) {
      try {
        params.unshift(`${readClock(now)}`);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    const sent = Date.now();
    return execute(this.#execution, statement, params, demand, (rows) => {
      const result = statement.decode(rows, ...args);
      const server = now === undefined ? statement.timeOf?.(result) : undefined;
      if (server !== undefined) this.#options.onTime(sent, server, Date.now());
      return result;
    });
  }
}

function statementsOf(table: TableName, { now, rules, durability }: CircuitTableOptions) {
  const context = new StatementContext(table, rules, now !== undefined, durability);
  return {
    readOne: readOneStatement(context),
    readMany: readManyStatement(context),
    record: recordStatement(context),
    recordOne: recordOneStatement(context),
    recordSuccesses: recordSuccessesStatement(context),
    recordOneSuccesses: recordOneSuccessesStatement(context),
    addSuccess: addSuccessesStatement(context, true),
    addSuccesses: addSuccessesStatement(context, false),
    refresh: refreshStatement(context),
    transition: transitionStatement(context),
    claim: rules.probing === undefined ? undefined : claimStatement(context, rules.probing),
    settle: settleStatement(context),
    force: forceStatement(context),
    reset: resetStatement(context),
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
    `Cannot read the clock: "now" must return epoch milliseconds, received ${describe(time)}`,
  );
}

/** For a statement that is not sent again. */
function onceNow(): Demand {
  return { sentAt: performance.now(), isAwaited: false, refusal: undefined };
}
