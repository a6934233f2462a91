import { lines } from "../../scripts/demo/lines.ts";
import type { GatewayCommand, GatewayMessage, GatewaySettings } from "./messages.ts";

const HAPPENS_WITHIN_MS = 60_000;

/** The test's end of a gateway process. */
export class GatewayProcess implements AsyncDisposable {
  readonly pid: number;
  /** Resolves when it has ended: with its exit code, and what it wrote to its errors. */
  readonly ended: Promise<{ code: number; errors: string }>;
  readonly #onMessage: (message: GatewayMessage) => void;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #heard = new Map<string, PromiseWithResolvers<void>>();
  #isEnded = false;

  private constructor(onMessage: (message: GatewayMessage) => void) {
    this.#onMessage = onMessage;
    const script = new URL("./gateway_program.ts", import.meta.url).href;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--quiet", "--cached-only", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#input = this.#child.stdin.getWriter();
    this.ended = this.#listen();
  }

  /** Starts a process, which calls as soon as it runs. */
  static async start(
    settings: GatewaySettings,
    onMessage: (message: GatewayMessage) => void,
  ): Promise<GatewayProcess> {
    const process = new GatewayProcess(onMessage);
    await process.#write(settings);
    await process.until("ready", settings.name);
    return process;
  }

  async send(command: GatewayCommand): Promise<void> {
    await this.#write(command);
  }

  /** Waits until it has said something of an instance: also where it has said so already. */
  async until(type: GatewayMessage["type"], name: string): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`Cannot go on: ${name} did not say "${type}"`)),
      HAPPENS_WITHIN_MS,
    );
    const lost = this.ended.then(({ code, errors }) => {
      throw new Error(`Cannot go on: ${name} ended with ${code} before "${type}": ${errors}`);
    });
    try {
      await Promise.race([this.#hearing(`${type} ${name}`).promise, lost, late.promise]);
    } finally {
      clearTimeout(timer);
      lost.catch(() => {}); // nothing waits for it any more
    }
  }

  /** Kills, stops or continues it. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    if (!this.#isEnded) this.#child.kill(signal);
  }

  #hearing(id: string): PromiseWithResolvers<void> {
    let hearing = this.#heard.get(id);
    if (hearing === undefined) this.#heard.set(id, hearing = Promise.withResolvers());
    return hearing;
  }

  async #write(message: GatewayCommand | GatewaySettings): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  }

  async #listen(): Promise<{ code: number; errors: string }> {
    const reading = new Response(this.#child.stderr).text();
    for await (const line of lines(this.#child.stdout)) {
      let message: GatewayMessage;
      try {
        message = JSON.parse(line);
      } catch {
        continue; // cut by SIGKILL
      }
      this.#onMessage(message);
      this.#hearing(`${message.type} ${message.name}`).resolve();
    }
    const errors = await reading;
    const { code } = await this.#child.status;
    this.#isEnded = true;
    return { code, errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#input.close().catch(() => {}); // closed with the process
    await this.ended;
  }
}
