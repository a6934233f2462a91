/**
 * A store in an operating system process of its own: it runs the calls from its standard
 * input and answers on its standard output. It ends when its input does, so it never outlives a test.
 */

import {
  type CircuitBreakerSnapshot,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
} from "../mod.ts";
import { openPostgresJs } from "./support/clients.ts";

type Method =
  | "getState"
  | "recordSuccess"
  | "recordFailure"
  | "transition"
  | "reset"
  | "peek"
  | "forceOpen";

/** A call as text: the method and its arguments. */
export type Call = [method: Method, key: string, argument?: unknown];

interface Request {
  /** How far the process's clock stands from the machine's from now on, in milliseconds. */
  skew?: number;
  /** Calls to run all at once. */
  calls: Call[];
}

export interface Answer {
  /** `Date.now()` of the process, before the calls and after them. */
  sent: number;
  received: number;
  results: CircuitBreakerSnapshot[];
  errors: string[];
}

/** The test's end of a worker. */
export class Worker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(url: string, options: PostgresCircuitBreakerStoreOptions) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--quiet", "--cached-only", import.meta.filename!],
      env: { DATABASE_URL: url, STORE_OPTIONS: JSON.stringify(options) },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout).getReader();
  }

  /** Starts a process whose store is connected to the database. */
  static async start(
    url: string,
    options: PostgresCircuitBreakerStoreOptions = {},
  ): Promise<Worker> {
    const worker = new Worker(url, options);
    await worker.run([["peek", "connect"]]);
    return worker;
  }

  /** Runs calls all at once, after setting the clock where a skew is given. */
  async run(calls: Call[], skew?: number): Promise<Answer> {
    const request: Request = { skew, calls };
    await this.#input.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error("Cannot run calls: the worker has ended");
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#lines.cancel();
    await this.#child.status;
  }
}

function linesOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  let rest = "";
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(
    new TransformStream<string, string>({
      transform(chunk, controller) {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop()!;
        for (const line of parts) controller.enqueue(line);
      },
    }),
  );
}

async function serve(url: string, options: PostgresCircuitBreakerStoreOptions): Promise<void> {
  const machineNow = Date.now;
  await using driver = await openPostgresJs(url, { max: 4 });
  await using store = new PostgresCircuitBreakerStore(driver.client, undefined, options);
  for await (const line of linesOf(Deno.stdin.readable)) {
    const { skew, calls }: Request = JSON.parse(line);
    if (skew !== undefined) Date.now = () => machineNow() + skew;
    const sent = Date.now();
    const settled = await Promise.allSettled(calls.map(([method, ...args]) =>
      // Arguments come from the test as they are.
      (store[method] as (...args: unknown[]) => Promise<CircuitBreakerSnapshot>)(...args)
    ));
    const answer: Answer = { sent, received: Date.now(), results: [], errors: [] };
    for (const each of settled) {
      if (each.status === "fulfilled") answer.results.push(each.value);
      else answer.errors.push(`${each.reason} (${each.reason?.sqlState})`);
    }
    console.log(JSON.stringify(answer));
  }
}

if (import.meta.main) {
  await serve(Deno.env.get("DATABASE_URL")!, JSON.parse(Deno.env.get("STORE_OPTIONS")!));
}
