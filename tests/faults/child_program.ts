import { lines } from "../../scripts/demo/lines.ts";

const HAPPENS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 30_000;

type MessageOf<Message, Type> = Extract<Message, { type: Type }>;

/**
 * The test's end of a process that is given its settings and commands, and says how it goes: one line of
 * JSON each.
 */
export class ChildProgram<
  Settings extends { name: string },
  Command,
  Message extends { type: string },
> implements AsyncDisposable {
  readonly settings: Settings;
  /** Everything it has said so far. */
  readonly messages: Message[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<void>;
  readonly #errors: Promise<string>;
  #changed = Promise.withResolvers<void>();
  #code: number | undefined;

  protected constructor(settings: Settings, program: URL) {
    this.settings = settings;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--quiet",
        "--cached-only",
        "--v8-flags=--expose-gc",
        program.href,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#errors = new Response(this.#child.stderr).text();
    this.#ended = this.#listen();
  }

  get name(): string {
    return this.settings.name;
  }

  /** Has it do something. */
  async send(command: Command | Settings): Promise<void> {
    try {
      await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    } catch {
      await this.#ended;
      throw await this.#lost();
    }
  }

  /** Messages of a type so far. */
  all<Type extends Message["type"]>(type: Type): MessageOf<Message, Type>[] {
    return this.messages.filter((each): each is MessageOf<Message, Type> => each.type === type);
  }

  /** The first message of a type that fits, from `from` on; waits for it. */
  async until<Type extends Message["type"]>(
    type: Type,
    fits: (message: MessageOf<Message, Type>) => boolean = () => true,
    from = 0,
  ): Promise<MessageOf<Message, Type>> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, HAPPENS_WITHIN_MS);
    const givenUpAt = performance.now() + HAPPENS_WITHIN_MS;
    try {
      for (;;) {
        const found = this.messages.slice(from).find((each): each is MessageOf<Message, Type> =>
          each.type === type && fits(each as MessageOf<Message, Type>)
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

  /** Waits until it has ended: its exit code, and what it said of errors. */
  async ended(): Promise<{ code: number; errors: string }> {
    await this.#input.close();
    // Nothing that it left behind may keep it alive.
    const timer = setTimeout(() => this.#child.kill("SIGABRT"), ENDS_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
    return { code: this.#code!, errors: await this.#errors };
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
