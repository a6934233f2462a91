import type { Circuit } from "../circuit.ts";
import { describe } from "../describe.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import type { OwnChange } from "../ports.ts";
import { type Demand, execute, type Execution } from "./executor.ts";
import type { ChangedCircuit } from "./statements/change.ts";
import type { Statement } from "./statements/context.ts";

/** What runs statements needs beside a client. */
export interface StatementRunnerOptions {
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  /** Called after each statement that wrote rows of the log: with these, and with its circuits. */
  onLogged: (changes: readonly OwnChange[], circuits: readonly Circuit[]) => void;
  /** Called with both clocks after every statement that returned the server's. */
  onTime: (sent: number, server: number, received: number) => void;
}

/** Runs the statements of one table: adds the caller's clock, and passes on what their answers show. */
export class StatementRunner {
  readonly execution: Execution;
  readonly #options: StatementRunnerOptions;

  constructor(execution: Execution, options: StatementRunnerOptions) {
    this.execution = execution;
    this.#options = options;
  }

  /** Runs a statement that may have written rows of the log. */
  async change<Args extends unknown[], Changed extends ChangedCircuit>(
    statement: Statement<Args, Changed[]>,
    demand: Demand,
    ...args: Args
  ): Promise<Changed[]> {
    const circuits = await this.run(statement, demand, ...args);
    const logged = circuits.flatMap(({ logged }) => logged);
    if (logged.length > 0) this.#options.onLogged(logged, circuits);
    return circuits;
  }

  /** Runs a statement. */
  run<Args extends unknown[], Result>(
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
    return execute(this.execution, statement, params, demand, (rows) => {
      const result = statement.decode(rows, ...args);
      const server = now === undefined ? statement.timeOf?.(result) : undefined;
      if (server !== undefined) this.#options.onTime(sent, server, Date.now());
      return result;
    });
  }
}

function readClock(now: () => number): number {
  const time = now();
  if (Number.isSafeInteger(Math.floor(time))) return Math.floor(time);
  throw new CircuitBreakerStoreError(
    `Cannot read the clock: "now" must return epoch milliseconds, received ${describe(time)}`,
  );
}
