import { fileURLToPath } from "node:url";
import { lines } from "../demo/lines.ts";

/** Several processes that run the same script and follow orders: one line each, answered by one. */
export class WorkerGroup<Order, Answer> implements AsyncDisposable {
  readonly #workers: WorkerProcess<Order, Answer>[];

  private constructor(workers: WorkerProcess<Order, Answer>[]) {
    this.#workers = workers;
  }

  /** Starts the processes and gives each its first order, which may differ. */
  static async start<Order, Answer>(
    size: number,
    script: URL,
    firstOrder: (index: number) => Order,
  ): Promise<WorkerGroup<Order, Answer>> {
    const workers = Array.from({ length: size }, () => new WorkerProcess<Order, Answer>(script));
    const group = new WorkerGroup(workers);
    try {
      await Promise.all(workers.map((worker, index) => worker.ask(firstOrder(index))));
      return group;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Gives all the same order, and waits for every answer. */
  askAll(order: Order): Promise<Answer[]> {
    return Promise.all(this.#workers.map((worker) => worker.ask(order)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}

/** One process, which ends when its standard input does. */
class WorkerProcess<Order, Answer> implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncGenerator<string>;

  constructor(script: URL) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--quiet", "--no-lock", fileURLToPath(script)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  async ask(order: Order): Promise<Answer> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("Cannot measure several processes: one of them has ended");
    return JSON.parse(value) as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended already
    await this.#child.status;
    await this.#answers.return(undefined);
  }
}

/** The other end, in the process: it never outlives the benchmark, because its input ends with it. */
export async function answerOrders<Order>(
  answer: (order: Order) => Promise<unknown>,
): Promise<void> {
  // Ctrl-C reaches every process of the terminal; the benchmark decides when its workers end.
  Deno.addSignalListener("SIGINT", () => {});
  for await (const line of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as Order) ?? {}));
  }
}
