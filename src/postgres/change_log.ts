import type { Circuit } from "../circuit.ts";
import type { LogCursor, LogPage, LogRequest, TailPage } from "../ports.ts";
import type { Demand } from "./executor.ts";
import type { StatementRunner } from "./statement_runner.ts";
import { announceStatement } from "./statements/announce.ts";
import type { StatementContext } from "./statements/context.ts";
import { type FoundLog, type LogShape, logStatement, shapeOf } from "./statements/log.ts";
import { pruneLogStatement } from "./statements/prune.ts";
import {
  cursorStatement,
  epochStatement,
  type FoundNews,
  type FoundTail,
  tailStatement,
} from "./statements/tail.ts";

/** The circuits that the log is about. */
export interface LoggedCircuits {
  /** The circuits that exist among the keys. */
  read(keys: readonly string[], demand: Demand): Promise<Circuit[]>;
  /** Writes into the log which forced states have ended by their time. */
  noticeExpiry(demand: Demand): Promise<void>;
}

/** The log of the changes of one table's circuits. */
export class ChangeLog {
  readonly #runner: StatementRunner;
  readonly #context: StatementContext;
  readonly #circuits: LoggedCircuits;
  readonly #statements: ReturnType<typeof statementsOf>;
  /** Statements that read pages, by their shape. */
  readonly #pages = new Map<string, ReturnType<typeof logStatement>>();
  /** Statements that look for news, by their limit. */
  readonly #tails = new Map<number, ReturnType<typeof tailStatement>>();

  constructor(
    runner: StatementRunner,
    context: StatementContext,
    circuits: LoggedCircuits,
  ) {
    this.#runner = runner;
    this.#context = context;
    this.#circuits = circuits;
    this.#statements = statementsOf(context);
  }

  /** What changed since a cursor; without one, the cursor from which to go on. */
  async tail(after: LogCursor | undefined, limit: number, demand: Demand): Promise<TailPage> {
    const { cursor, isBreak, isTooLong, keys } = await this.#inEpoch<FoundTail, FoundNews>(
      demand,
      () =>
        after === undefined
          ? this.#runner.run(this.#statements.cursor, demand)
          : this.#runner.run(this.#tailStatement(limit), demand, after),
    );
    const isWhole = keys.length > 0 && !isBreak && !isTooLong;
    // Read later than the log, so that they are at least as new as its changes.
    const circuits = isWhole ? await this.#circuits.read(keys, demand) : [];
    const found = new Set(circuits.map(({ key }) => key));
    const absent = isWhole ? keys.filter((key) => !found.has(key)) : [];
    return { cursor, isBreak, isTooLong, circuits, absent };
  }

  #tailStatement(limit: number): ReturnType<typeof tailStatement> {
    let statement = this.#tails.get(limit);
    if (statement === undefined) {
      statement = tailStatement(this.#context, limit);
      this.#tails.set(limit, statement);
    }
    return statement;
  }

  /** A page of the log. Forced states that have ended by their time get their rows first. */
  async page(request: LogRequest, demand: Demand): Promise<LogPage> {
    const statement = this.#logStatement(shapeOf(request));
    const read = () =>
      this.#inEpoch<FoundLog, NonNullable<FoundLog>>(
        demand,
        () => this.#runner.run(statement, demand, request),
      );
    const page = await read();
    if (!page.hasExpired) return page;
    await this.#circuits.noticeExpiry(demand);
    return await read();
  }

  /** Reads again where the table of the epoch was empty, after it has got an id. */
  async #inEpoch<Found, Page extends Found>(
    demand: Demand,
    read: () => Promise<Found>,
  ): Promise<Page> {
    while (true) {
      const found = await read();
      if (found !== undefined) return found as Page;
      await this.#runner.run(this.#statements.epoch, demand, crypto.randomUUID());
    }
  }

  #logStatement(shape: LogShape): ReturnType<typeof logStatement> {
    const name = JSON.stringify(shape);
    let statement = this.#pages.get(name);
    if (statement === undefined) {
      statement = logStatement(this.#context, shape);
      this.#pages.set(name, statement);
    }
    return statement;
  }

  /** Announces that circuits have changed. */
  announce(demand: Demand): Promise<void> {
    return this.#runner.run(this.#statements.announce, demand);
  }

  /** Removes rows of the log, and instances that are gone; returns how many rows of the log. */
  prune(historyMs: number, historyRows: number, demand: Demand): Promise<number> {
    return this.#runner.run(this.#statements.prune, demand, historyMs, historyRows);
  }
}

function statementsOf(context: StatementContext) {
  return {
    cursor: cursorStatement(context),
    epoch: epochStatement(context),
    announce: announceStatement(context),
    prune: pruneLogStatement(context),
  };
}
