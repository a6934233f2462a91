import type { ContenderName, Endpoint } from "./contenders.ts";
import { Histogram } from "./histogram.ts";
import type { Load, Round } from "./load.ts";
import type { Order, Report } from "./process_worker.ts";
import { WorkerGroup } from "./worker_process.ts";

type Workers = WorkerGroup<Order, Report>;

/** Several processes that put the same load on the same circuits at the same time. */
export class ProcessGroup implements AsyncDisposable {
  readonly #workers: Workers;

  private constructor(workers: Workers) {
    this.#workers = workers;
  }

  /** Starts the processes and opens every contender in each of them. */
  static async start(size: number, endpoints: Endpoint[]): Promise<ProcessGroup> {
    const script = new URL("./process_worker.ts", import.meta.url);
    return new ProcessGroup(
      await WorkerGroup.start<Order, Report>(size, script, () => ({ type: "open", endpoints })),
    );
  }

  /** The load of all processes together on one contender. */
  load(contender: ContenderName, load: Load): GroupLoad {
    return new GroupLoad(this.#workers, contender, load);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#workers[Symbol.asyncDispose]();
  }
}

/** One contender under a load from several processes. */
export class GroupLoad {
  /** Latencies of all rounds and processes. */
  latencies: Histogram = new Histogram();
  readonly #workers: Workers;
  readonly #contender: ContenderName;
  readonly #load: Load;
  #statements = 0;

  constructor(workers: Workers, contender: ContenderName, load: Load) {
    this.#workers = workers;
    this.#contender = contender;
    this.#load = load;
  }

  /** Statements that all processes sent to the contender. */
  get statements(): number {
    return this.#statements;
  }

  warmUp(seconds: number): Promise<Round> {
    return this.#run({ type: "warm-up", contender: this.#contender, load: this.#load, seconds });
  }

  round(seconds: number): Promise<Round> {
    return this.#run({ type: "round", contender: this.#contender, seconds });
  }

  async #run(order: Order): Promise<Round> {
    const reports = await this.#workers.askAll(order);
    this.latencies = new Histogram();
    for (const { latencies } of reports) this.latencies.add(latencies);
    this.#statements = sum(reports.map((report) => report.statements));
    const operations = sum(reports.map((report) => report.operations));
    const rate = sum(reports.map((report) => report.operations / report.seconds));
    const clientCpu = sum(reports.map((report) => report.clientCpu));
    return { operations, seconds: operations / rate, clientCpu };
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
