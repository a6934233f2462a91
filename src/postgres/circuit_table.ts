import type { Circuit, Round } from "../circuit.ts";
import type { RunAlone } from "../client_traits.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Deferred,
  Flush,
  FlushResult,
  Instance,
  ListedCircuit,
  PruneRequest,
  RefusedCalls,
  SeenInstance,
} from "../ports.ts";
import { isRowNeeded } from "../rules/moving.ts";
import type { CircuitState, PostgresClient } from "../types.ts";
import { ChangeLog } from "./change_log.ts";
import { CircuitVotes } from "./circuit_votes.ts";
import { type Demand, execute } from "./executor.ts";
import type { TableName } from "./identifier.ts";
import { ReadOnlySessions } from "./read_only_sessions.ts";
import { Recorder } from "./recorder.ts";
import { StatementRunner, type StatementRunnerOptions } from "./statement_runner.ts";
import type { ChangedCircuit } from "./statements/change.ts";
import { checkStatement, type Closing, type SessionState } from "./statements/check.ts";
import { StatementContext } from "./statements/context.ts";
import {
  countDeferredStatement,
  findFlushStatement,
  flushStatement,
  registerStatement,
} from "./statements/flush.ts";
import { forceStatement, resetStatement } from "./statements/force.ts";
import { instancesStatement } from "./statements/instances.ts";
import { addStatement, noticeExpiryStatement, noticeStatement } from "./statements/notice.ts";
import {
  type ClaimedCircuit,
  type ClaimRequest,
  claimStatement,
  settleStatement,
} from "./statements/probe.ts";
import { pruneStatement, trimStatement } from "./statements/prune.ts";
import {
  findRemovedStatement,
  listStatement,
  readManyStatement,
  readOneStatement,
} from "./statements/read.ts";
import type { Tally } from "./statements/record.ts";
import { countRefusedStatement } from "./statements/refused.ts";
import { transitionStatement } from "./statements/transition.ts";

/** What the table needs beside a client. */
export interface CircuitTableOptions extends StatementRunnerOptions {
  rules: CircuitRules;
  durability: "default" | "relaxed";
  /** Who changes circuits, for the log: the label of the instance. */
  actor: string;
  /** How the client runs a statement from inside of which the server may close the connection. */
  runAlone: () => RunAlone | undefined;
  /** Whether each call may have a connection of its own, which only its program ends. */
  isPerCall?: boolean;
  /** Whether the process was held up since a moment of `performance.now()`. */
  wasHeldUpSince: (moment: number) => boolean;
}

/**
 * The circuits of one table. Each method is one statement, for one circuit or for many. No key may
 * stand twice in a call. A statement that was rolled back is sent again while a call waits for it.
 */
export class CircuitTable {
  /** The sessions of the client, as far as they take no writes. */
  readonly sessions: ReadOnlySessions;
  /** The log of their changes. */
  readonly log: ChangeLog;
  /** The votes of the instance. */
  readonly votes: CircuitVotes;
  readonly #runner: StatementRunner;
  readonly #options: CircuitTableOptions;
  readonly #statements: ReturnType<typeof statementsOf>;
  readonly #recorder: Recorder;

  constructor(client: PostgresClient, table: TableName, options: CircuitTableOptions) {
    const { runAlone, wasHeldUpSince, isPerCall = false } = options;
    this.sessions = new ReadOnlySessions({
      look: (closing) => this.#look(closing),
      mayClose: () => runAlone() !== undefined,
    });
    this.#runner = new StatementRunner(
      { client, table, wasHeldUpSince, isPerCall, onReadOnly: this.sessions.met },
      options,
    );
    this.#options = options;
    const { now, rules, durability } = options;
    const context = new StatementContext(table, rules, now !== undefined, durability);
    this.#statements = statementsOf(context);
    this.#recorder = new Recorder(this.#runner, context, options);
    this.log = new ChangeLog(this.#runner, context, this);
    const add = (keys: readonly string[], demand: Demand) => this.add(keys, demand);
    this.votes = new CircuitVotes(this.#runner, context, options.actor, add);
  }

  /**
   * The circuits that exist among the keys, in no order. What others did to one of them is written into
   * the log first, unless its row is locked.
   */
  async read(keys: readonly string[], demand: Demand): Promise<Circuit[]> {
    const { readOne, readMany } = this.#statements;
    const circuits = keys.length === 1
      ? await this.#runner.run(readOne, demand, keys[0]!)
      : await this.#runner.run(readMany, demand, keys);
    if (circuits === "removed") {
      return await this.noticeRemoved(keys, demand).catch(() => []);
    }
    return hasUnlogged(circuits) ? await this.#notice(circuits, demand) : circuits;
  }

  /** Writes into the log what others did to some of the circuits. Returns all as they are then. */
  async #notice(circuits: readonly Circuit[], demand: Demand): Promise<Circuit[]> {
    const keys = circuits.filter(({ isUnlogged }) => isUnlogged).map(({ key }) => key);
    try {
      const noticed = await this.#runner.change(this.#statements.notice, demand, keys);
      const found = new Map(noticed.map((circuit) => [circuit.key, circuit]));
      return circuits.map((circuit) => found.get(circuit.key) ?? circuit);
    } catch {
      return [...circuits]; // the read has its answer, and the next one notices the same
    }
  }

  /** Those keys without a row whose circuits the log knows in another state than closed. */
  findRemoved(keys: readonly string[], demand: Demand): Promise<string[]> {
    return this.#runner.run(this.#statements.findRemoved, demand, keys);
  }

  /** Writes into the log that another program has removed circuits. Returns their new rows. */
  async noticeRemoved(keys: readonly string[], demand: Demand): Promise<Circuit[]> {
    await this.add(keys, demand);
    return await this.#runner.change(this.#statements.notice, demand, keys);
  }

  /** Writes into the log which forced states have ended by their time. */
  async noticeExpiry(demand: Demand): Promise<void> {
    await this.#runner.change(this.#statements.noticeExpiry, demand);
  }

  /** Adds up successes and failures. Opens circuits that are due, where the store decides. */
  record(tallies: readonly Tally[], demand: Demand): Promise<Circuit[]> {
    return this.#recorder.record(tallies, demand);
  }

  /** Makes rows for circuits without one. Returns how many. */
  add(keys: readonly string[], demand: Demand): Promise<number> {
    return this.#runner.run(this.#statements.add, demand, keys);
  }

  /** Moves circuits to a state. A move that cannot change one without a row returns none for it. */
  transition(
    keys: readonly string[],
    to: CircuitState,
    demand: Demand,
  ): Promise<Circuit[]> {
    const { actor } = this.#options;
    const move = (keys: readonly string[]) =>
      this.#runner.change(this.#statements.transition, demand, keys, to, actor);
    return this.#withRows(keys, isRowNeeded(to, this.#options.rules), demand, move);
  }

  /** Admits as many probes as the rules allow. */
  claim(requests: readonly ClaimRequest[], demand: Demand): Promise<ClaimedCircuit[]> {
    return this.#runner.change(this.#statements.claim!, demand, requests, this.#options.actor);
  }

  /** Applies the result of a probe to its round, unless that is over. */
  async settle(
    key: string,
    outcome: PermitOutcome,
    round: Round,
    demand: Demand,
  ): Promise<Circuit | undefined> {
    const { actor } = this.#options;
    const settle = this.#statements.settle!;
    return (await this.#runner.change(settle, demand, key, outcome, round, actor))[0];
  }

  /** Forces a state on a circuit, or releases it. Releasing one without a row returns nothing. */
  async force(key: string, force: Force, demand: Demand): Promise<Circuit | undefined> {
    const { actor } = this.#options;
    const run = ([key]: readonly string[]) =>
      this.#runner.change(this.#statements.force, demand, key!, force, actor);
    return (await this.#withRows([key], force.state !== undefined, demand, run))[0];
  }

  /** Blanks a circuit. Returns nothing for one without a row. */
  async reset(key: string, act: Act, demand: Demand): Promise<Circuit | undefined> {
    const { actor } = this.#options;
    return (await this.#runner.change(this.#statements.reset, demand, key, act, actor))[0];
  }

  /**
   * Changes circuits, of which those without a row get one first where `isMade` says so. A version is
   * drawn under the lock of a row, so a new row begins without one and is changed after that. Where
   * pruning removed it in between, it is made again.
   */
  async #withRows(
    keys: readonly string[],
    isMade: boolean,
    demand: Demand,
    change: (keys: readonly string[]) => Promise<ChangedCircuit[]>,
  ): Promise<Circuit[]> {
    const circuits: Circuit[] = await change(keys);
    while (isMade && circuits.length < keys.length && demand.isAwaited) {
      const found = new Set(circuits.map(({ key }) => key));
      const missing = keys.filter((key) => !found.has(key));
      await this.add(missing, demand);
      circuits.push(...await change(missing));
    }
    return circuits;
  }

  /** A page of circuits in the order of their keys. */
  async list(options: ResolvedListOptions, demand: Demand): Promise<ListedCircuit[]> {
    const { list, listAfter } = this.#statements;
    const statement = options.after === undefined ? list : listAfter;
    while (true) {
      const circuits = await this.#runner.run(statement, demand, options);
      if (!hasUnlogged(circuits)) return circuits;
      // What is noticed can leave the page, and others follow. What is locked is not noticed now.
      const noticed = await this.#notice(circuits, demand);
      if (noticed.every((circuit, i) => circuit === circuits[i])) return circuits;
    }
  }

  /** Adds refusals. Returns the keys of those that are to be counted again. */
  countRefused(calls: readonly RefusedCalls[], demand: Demand): Promise<string[]> {
    return this.#runner.run(this.#statements.countRefused, demand, calls);
  }

  /** The instances that were seen lately. */
  instances(demand: Demand): Promise<SeenInstance[]> {
    return this.#runner.run(this.#statements.instances, demand);
  }

  /** Writes the row of an instance. */
  register(instance: Instance, demand: Demand): Promise<void> {
    return this.#runner.run(this.#statements.register, demand, instance);
  }

  /** Counts deferred successes; `undefined` where nothing was done. */
  flush(instance: Instance, flush: Flush, demand: Demand): Promise<readonly string[] | undefined> {
    return this.#runner.run(this.#statements.flush, demand, instance, flush);
  }

  /** What became of a flush. */
  findFlush(instance: Instance, flush: Flush, demand: Demand): Promise<FlushResult> {
    return this.#runner.run(this.#statements.findFlush, demand, instance, flush);
  }

  /** Counts deferred successes of circuits that have a row. Returns the keys of these. */
  countDeferred(deferred: readonly Deferred[], demand: Demand): Promise<string[]> {
    return this.#runner.run(this.#statements.countDeferred, demand, deferred);
  }

  /** Removes closed circuits that are not used; returns how many. */
  prune({ idleMs, limit, isElected }: PruneRequest, demand: Demand): Promise<number> {
    const { prune, pruneElected } = this.#statements;
    return this.#runner.run(isElected ? pruneElected : prune, demand, idleMs, limit);
  }

  /** Removes the closed circuits longest idle, down to a number of circuits; returns how many. */
  trim(maxCircuits: number, demand: Demand): Promise<number> {
    return this.#runner.run(this.#statements.trim, demand, maxCircuits);
  }

  /** Looks at one session, on a connection that may end with it where a session is to be closed. */
  #look(closing: Closing | undefined): Promise<SessionState> {
    const { check } = this.#statements;
    const alone = closing === undefined ? undefined : this.#options.runAlone();
    const execution = alone === undefined
      ? this.#runner.execution
      : { ...this.#runner.execution, client: { query: alone } };
    const params = check.encode(closing);
    return execute(
      execution,
      check,
      params,
      onceNow(),
      (rows) => check.decode(rows, closing),
    );
  }
}

function statementsOf(context: StatementContext) {
  const { rules: { probing } } = context;
  return {
    readOne: readOneStatement(context),
    readMany: readManyStatement(context),
    findRemoved: findRemovedStatement(context),
    add: addStatement(context),
    transition: transitionStatement(context),
    claim: probing === undefined ? undefined : claimStatement(context, probing),
    settle: probing === undefined ? undefined : settleStatement(context, probing),
    force: forceStatement(context),
    reset: resetStatement(context),
    notice: noticeStatement(context),
    noticeExpiry: noticeExpiryStatement(context),
    countRefused: countRefusedStatement(context),
    instances: instancesStatement(context),
    register: registerStatement(context),
    flush: flushStatement(context),
    findFlush: findFlushStatement(context),
    countDeferred: countDeferredStatement(context),
    check: checkStatement(context.table),
    prune: pruneStatement(context, false),
    pruneElected: pruneStatement(context, true),
    trim: trimStatement(context),
    list: listStatement(context, false),
    listAfter: listStatement(context, true),
  };
}

function hasUnlogged(circuits: readonly Circuit[]): boolean {
  for (let i = 0; i < circuits.length; i++) if (circuits[i]!.isUnlogged) return true;
  return false;
}

/** For a statement that is not sent again. */
function onceNow(): Demand {
  return { sentAt: performance.now(), isAwaited: false, refusal: undefined };
}
