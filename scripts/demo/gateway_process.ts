import { fileURLToPath } from "node:url";
import type { CircuitState } from "../../mod.ts";
import { lines } from "./lines.ts";
import type { GatewayMessage, GatewaySettings } from "./messages.ts";

const READY_WITHIN_MS = 20_000;
const ANSWER_WITHIN_MS = 5_000;

/** One answer of a gateway, with the state its policy saw before it let the request through. */
export interface Answer {
  status: number;
  state: string | null;
  retryAfter: number | undefined;
}

/** Called with each transition that the gateway's policy makes. */
export type OnChange = (from: CircuitState, to: CircuitState) => void;

/** A gateway in a process of its own, seen from the demo. */
export class GatewayProcess implements AsyncDisposable {
  /** What the timeline calls it. */
  readonly name: string;
  readonly #signal: AbortSignal;
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<void>;
  readonly #ready = Promise.withResolvers<number>();
  #port = 0;

  private constructor(name: string, signal: AbortSignal, onChange: OnChange) {
    this.name = name;
    this.#signal = signal;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", fileURLToPath(new URL("./gateway.ts", import.meta.url))],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#ended = this.#listen(onChange);
  }

  /** Starts a gateway and waits until it serves. The signal ends its requests, not the gateway. */
  static async start(
    settings: GatewaySettings,
    signal: AbortSignal,
    onChange: OnChange,
  ): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(settings.name, signal, onChange);
    const late = setTimeout(() => gateway.#child.kill("SIGKILL"), READY_WITHIN_MS);
    try {
      await gateway.#send(settings);
      gateway.#port = await gateway.#ready.promise;
      return gateway;
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /** The process's id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Where it serves. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Sends one request and reads the answer. */
  async request(): Promise<Answer> {
    const response = await fetch(`${this.url}/orders`, {
      headers: { "x-stoma-debug": "x-stoma-circuit-state" },
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    });
    await response.body?.cancel();
    const retryAfter = response.headers.get("retry-after");
    return {
      status: response.status,
      state: response.headers.get("x-stoma-circuit-state"),
      retryAfter: retryAfter === null ? undefined : Number(retryAfter),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {}); // it has ended already
    await this.#ended;
  }

  async #send(settings: GatewaySettings): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${JSON.stringify(settings)}\n`));
    writer.releaseLock();
  }

  async #listen(onChange: OnChange): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      const message = JSON.parse(line) as GatewayMessage;
      if (message.type === "ready") this.#ready.resolve(message.port);
      else onChange(message.from, message.to);
    }
    const { code } = await this.#child.status;
    this.#ready.reject(
      new Error(`Cannot start ${this.name}: its process ended, received exit code ${code}`),
    );
    this.#ready.promise.catch(() => {}); // only a start that still waits for it wants to know
  }
}
