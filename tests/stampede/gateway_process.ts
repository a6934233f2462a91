import { lines } from "../../scripts/demo/lines.ts";
import type { Answer, GatewayMessage, GatewaySettings, Wave } from "./messages.ts";

/** The test's end of a gateway process. */
export class GatewayProcess implements AsyncDisposable {
  readonly name: string;
  /** How the requests were answered that have been so far. */
  readonly answers: Answer[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended: Promise<void>;
  #sent = 0;

  private constructor(name: string, onAnswer: () => void) {
    this.name = name;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--quiet",
        "--cached-only",
        new URL("./gateway.ts", import.meta.url).href,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#ended = this.#listen(onAnswer);
  }

  /** Starts a gateway and waits until it is connected. */
  static async start(settings: GatewaySettings, onAnswer: () => void): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(settings.name, onAnswer);
    await gateway.#write(settings);
    await gateway.#ready.promise;
    return gateway;
  }

  /** Has the gateway send requests, all at once. */
  async send(wave: Wave): Promise<void> {
    this.#sent += wave.requests;
    await this.#write(wave);
  }

  /** How many requests have no answer yet. */
  get waiting(): number {
    return this.#sent - this.answers.length;
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it has been killed
    await this.#ended;
  }

  async #write(message: GatewaySettings | Wave): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  }

  async #listen(onAnswer: () => void): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      const message: GatewayMessage = JSON.parse(line);
      if (message.type === "ready") this.#ready.resolve();
      else {
        this.answers.push(message.answer);
        onAnswer();
      }
    }
    const { code } = await this.#child.status;
    this.#ready.reject(
      new Error(`Cannot start ${this.name}: it ended, received exit code ${code}`),
    );
    this.#ready.promise.catch(() => {}); // only a start that still waits for it wants to know
  }
}
