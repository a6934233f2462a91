/**
 * A process with a store that a test stops and continues, as a laptop's lid, a debugger, a container
 * that is paused or a machine that is migrated does.
 *
 * @module
 */

import { lines } from "../../scripts/demo/lines.ts";
import { type Driver, type Mode, MODES } from "./messages.ts";

const HAPPENS_WITHIN_MS = 60_000;

/** The modes of other tests, and answers from memory both before an outage and in it. */
export type StoppedMode = Mode | "bounded local";
export const STOPPED_MODES: readonly StoppedMode[] = [...MODES, "bounded local"];

/** What the process needs to know. */
export interface StoppedSettings {
  driver: Driver;
  mode: StoppedMode;
  url: string;
  timeoutMs: number;
  /** The bound of the modes with `bounded`. */
  maxStalenessMs: number;
  /** How long node-postgres waits for an answer, and for a connection. */
  silenceMs: number;
  /** The circuit that is asked for. */
  key: string;
}

/** What the test has it do. */
export type StoppedCommand =
  /** Ask and record all the time, or no longer: say when all of it has ended. */
  | { type: "load"; isBusy: boolean }
  /** Record one failure of this circuit. */
  | { type: "record"; key: string }
  /** Ask for the circuit so often, one call after the other. */
  | { type: "ask"; calls: number };

/** What it says. Times are of `Date.now()`, which all processes share. */
export type StoppedMessage =
  | { type: "outage"; isOut: boolean; cause?: string }
  | { type: "answer"; madeAt: number; state: string }
  | { type: "failure"; madeAt: number; message: string }
  | { type: "recorded"; key: string }
  | { type: "rejected"; key: string; message: string }
  /** What the store reports by `onError`. */
  | { type: "reported"; message: string }
  | { type: "rested" }
  | { type: "asked" };

/** What a process said of its records, by key. */
export class Records {
  readonly acknowledged: Map<string, number> = new Map<string, number>();
  readonly rejected: Map<string, number> = new Map<string, number>();
  reports = 0;

  note(message: StoppedMessage): void {
    if (message.type === "recorded") increment(this.acknowledged, message.key);
    if (message.type === "rejected") increment(this.rejected, message.key);
    if (message.type === "reported") this.reports++;
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The test's end of the process. */
export class StoppedProcess implements AsyncDisposable {
  readonly name: string;
  /** Everything it has said so far, until a test forgets it. */
  readonly messages: StoppedMessage[] = [];
  /** What became of its records of failures. */
  readonly records: Records = new Records();
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<void>;
  #changed = Promise.withResolvers<void>();
  #isEnded = false;

  private constructor({ driver, mode }: StoppedSettings) {
    this.name = `${driver} ${mode}`;
    const script = new URL("./stopped_program.ts", import.meta.url).href;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--quiet", "--cached-only", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#ended = this.#listen();
  }

  static async start(settings: StoppedSettings): Promise<StoppedProcess> {
    const process = new StoppedProcess(settings);
    await process.#write(settings);
    return process;
  }

  async send(command: StoppedCommand): Promise<void> {
    await this.#write(command);
  }

  /** Has it ask for the circuit, and waits until it has its answers. */
  async ask(calls: number): Promise<void> {
    const from = this.messages.length;
    await this.send({ type: "ask", calls });
    await this.until(() => this.messages.slice(from).some(({ type }) => type === "asked"));
  }

  /** Has it make no more calls, and waits until all have ended. */
  async rest(): Promise<void> {
    await this.send({ type: "load", isBusy: false });
    await this.until(() => this.messages.some(({ type }) => type === "rested"));
  }

  /** Stops it in whatever it does. */
  stop(): void {
    this.#child.kill("SIGSTOP");
  }

  /** Lets it go on. */
  continue(): void {
    this.#child.kill("SIGCONT");
  }

  /** Waits until something holds of what it said. */
  async until(holds: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const said = JSON.stringify(this.messages.slice(-4));
      late.reject(new Error(`Cannot go on: ${this.name} said no more than ${said}`));
    }, HAPPENS_WITHIN_MS);
    try {
      while (!holds()) {
        if (this.#isEnded) throw new Error(`Cannot go on: ${this.name} has ended`);
        await Promise.race([this.#changed.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(message: StoppedCommand | StoppedSettings): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  }

  async #listen(): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      const message: StoppedMessage = JSON.parse(line);
      this.messages.push(message);
      this.records.note(message);
      this.#notify();
    }
    await this.#child.status;
    this.#isEnded = true;
    this.#notify();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnded) {
      try {
        this.#child.kill("SIGKILL");
      } catch {
        // It ended at this moment.
      }
    }
    await this.#input.close().catch(() => {}); // closed with the process
    await this.#ended;
  }
}
