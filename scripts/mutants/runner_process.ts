import { fileURLToPath } from "node:url";
import { lines } from "../demo/lines.ts";
import { ANSWER, type Answer, type Question, type Start } from "./protocol.ts";

/** How long loading all files may take, on a busy machine. */
const LOAD_LIMIT_MS = 120_000;

/** What a process is given beyond the limits of its tests, which it watches itself. */
const GRACE_MS = 15_000;

/** How to run a program of the instrumented copy. */
export interface Place {
  /** The URL of the copy. */
  readonly folder: URL;
  readonly flags: readonly string[];
  readonly env: Record<string, string>;
}

/** One process of `runner.ts`. One that answers nothing in time is killed. */
export class RunnerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<Answer>;

  constructor({ folder, flags, env }: Place, start: Start) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--allow-all", "--no-check", "--no-lock", "--v8-flags=--expose-gc", ...flags],
        ...[new URL("scripts/mutants/runner.ts", folder).href, JSON.stringify(start)],
      ],
      cwd: fileURLToPath(folder),
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = answersIn(this.#child.stdout);
  }

  /** What loading the files came to. */
  async ready(): Promise<Answer | undefined> {
    return await this.#next(LOAD_LIMIT_MS);
  }

  /** The answer; `undefined` where the process hangs or ended, after which it is of no use. */
  async ask(question: Question): Promise<Answer | undefined> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`))
      .catch(() => {});
    const limits = question.ask === "reach" ? [question.limitMs] : question.limitsMs;
    // A test is repeated without the mutant where it fails.
    const limitMs = 2 * Math.max(...limits) + GRACE_MS;
    for (;;) {
      const answer = await this.#next(limitMs);
      if (answer?.is !== "test") return answer;
    }
  }

  async #next(limitMs: number): Promise<Answer | undefined> {
    const timer = setTimeout(() => this.#kill(), limitMs);
    const { value, done } = await this.#answers.next();
    clearTimeout(timer);
    return done ? undefined : value;
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#input.abort().catch(() => {});
    await this.#answers.return?.();
    await this.#child.status;
  }
}

async function* answersIn(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Answer> {
  for await (const line of lines(stream)) {
    if (line.startsWith(ANSWER)) yield JSON.parse(line.slice(ANSWER.length));
  }
}
