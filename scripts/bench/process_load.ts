import { fileURLToPath } from "node:url";
import { lines } from "../demo/lines.ts";
import type { ContenderName, Endpoint } from "./contenders.ts";
import { Histogram } from "./histogram.ts";
import type { Load, Round } from "./load.ts";
import type { Order, Report } from "./process_worker.ts";

/** Several processes that put the same load on the same circuits at the same time. */
export class ProcessGroup implements AsyncDisposable {
  readonly #workers: Worker[];

  private constructor(workers: Worker[]) {
    this.#workers = workers;
  }

  /** Starts the processes and opens every contender in each of them. */
  static async start(size: number, endpoints: Endpoint[]): Promise<ProcessGroup> {
    const group = new ProcessGroup(Array.from({ length: size }, () => new Worker()));
    try {
      await Promise.all(group.#workers.map((worker) => worker.ask({ type: "open", endpoints })));
      return group;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The load of all processes together on one contender. */
  load(contender: ContenderName, load: Load): GroupLoad {
    return new GroupLoad(this.#workers, contender, load);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}

/** One contender under a load from several processes. */
export class GroupLoad {
  /** Latencies of all rounds and processes. */
  latencies: Histogram = new Histogram();
  readonly #workers: Worker[];
  readonly #contender: ContenderName;
  readonly #load: Load;
  #statements = 0;

  constructor(workers: Worker[], contender: ContenderName, load: Load) {
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
    const reports = await Promise.all(this.#workers.map((worker) => worker.ask(order)));
    this.latencies = new Histogram();
    for (const { latencies } of reports) this.latencies.add(latencies);
    this.#statements = sum(reports.map((report) => report.statements));
    const operations = sum(reports.map((report) => report.operations));
    const rate = sum(reports.map((report) => report.operations / report.seconds));
    const clientCpu = sum(reports.map((report) => report.clientCpu));
    return { operations, seconds: operations / rate, clientCpu };
  }
}

/** One process, which ends when its standard input does. */
class Worker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncGenerator<string>;

  constructor() {
    const script = fileURLToPath(new URL("./process_worker.ts", import.meta.url));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--quiet", "--no-lock", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  async ask(order: Order): Promise<Report> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("Cannot measure several processes: one of them has ended");
    return JSON.parse(value) as Report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended already
    await this.#child.status;
    await this.#answers.return(undefined);
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
