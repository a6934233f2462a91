import { lines } from "../../scripts/demo/lines.ts";
import type { LoadCommand, LoadMessage, LoadReport, LoadSettings, Weight } from "./messages.ts";

const HAPPENS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 30_000;

type MessageOf<Type> = Extract<LoadMessage, { type: Type }>;

/** The test's end of a load process. */
export class LoadProcess implements AsyncDisposable {
  readonly settings: LoadSettings;
  /** Everything it has said so far. */
  readonly messages: LoadMessage[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<void>;
  readonly #errors: Promise<string>;
  #changed = Promise.withResolvers<void>();
  #code: number | undefined;

  private constructor(settings: LoadSettings) {
    this.settings = settings;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--quiet",
        "--cached-only",
        "--v8-flags=--expose-gc",
        new URL("./load.ts", import.meta.url).href,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#errors = new Response(this.#child.stderr).text();
    this.#ended = this.#listen();
  }

  /** Starts a load and waits until it has called its database. */
  static async start(settings: LoadSettings): Promise<LoadProcess> {
    const load = new LoadProcess(settings);
    await load.send(settings);
    await load.until("ready");
    return load;
  }

  get name(): string {
    return this.settings.name;
  }

  /** Has it do something. */
  async send(command: LoadCommand | LoadSettings): Promise<void> {
    try {
      await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    } catch {
      await this.#ended;
      throw await this.#lost();
    }
  }

  /** Messages of a type so far. */
  all<Type extends LoadMessage["type"]>(type: Type): MessageOf<Type>[] {
    return this.messages.filter((each): each is MessageOf<Type> => each.type === type);
  }

  /** The first message of a type that fits, from `from` on; waits for it. */
  async until<Type extends LoadMessage["type"]>(
    type: Type,
    fits: (message: MessageOf<Type>) => boolean = () => true,
    from = 0,
  ): Promise<MessageOf<Type>> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, HAPPENS_WITHIN_MS);
    const givenUpAt = performance.now() + HAPPENS_WITHIN_MS;
    try {
      for (;;) {
        const found = this.messages.slice(from).find((each): each is MessageOf<Type> =>
          each.type === type && fits(each as MessageOf<Type>)
        );
        if (found !== undefined) return found;
        if (this.#code !== undefined) throw await this.#lost();
        if (performance.now() >= givenUpAt) {
          const said = JSON.stringify(this.messages.slice(-4));
          throw new Error(`Cannot go on: ${this.name} did not say "${type}" in time, only ${said}`);
        }
        await Promise.race([this.#changed.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counts under new keys, and waits until nothing is under way that began before. */
  async begin(phase: string): Promise<void> {
    await this.send({ type: "phase", phase, answers: 0 });
    await this.until("began", (message) => message.phase === phase);
  }

  /** Counts under new keys, and waits until `answers` calls were answered. */
  async phase(phase: string, answers: number): Promise<void> {
    await this.send({ type: "phase", phase, answers });
    await this.until("reached", (message) => message.phase === phase);
  }

  /** Reports to it that the database is back, and waits until its store is: how long that took. */
  async recover(): Promise<MessageOf<"recovered">> {
    const from = this.messages.length;
    await this.send({ type: "back" });
    return await this.until("recovered", () => true, from);
  }

  /** What it holds at the moment. */
  async weigh(): Promise<Weight> {
    const from = this.messages.length;
    await this.send({ type: "weigh" });
    return (await this.until("weight", () => true, from)).weight;
  }

  /** Stops it: its report, and how it ended. */
  async stop(): Promise<{ report: LoadReport; code: number; errors: string }> {
    await this.send({ type: "stop" });
    const { report } = await this.until("report");
    await this.#input.close();
    // Nothing that it left behind may keep it alive.
    const timer = setTimeout(() => this.#child.kill("SIGABRT"), ENDS_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
    return { report, code: this.#code!, errors: await this.#errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#code === undefined) {
      try {
        this.#child.kill("SIGKILL");
      } catch {
        // It ended at this moment.
      }
    }
    await this.#input.close().catch(() => {}); // closed before, or it has ended
    await this.#ended;
  }

  async #listen(): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      this.messages.push(JSON.parse(line));
      this.#notifyChanged();
    }
    this.#code = (await this.#child.status).code;
    await this.#errors;
    this.#notifyChanged();
  }

  async #lost(): Promise<Error> {
    return new Error(`Cannot go on: ${this.name} ended with ${this.#code}: ${await this.#errors}`);
  }

  #notifyChanged(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
