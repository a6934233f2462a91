import { Ledger, noteOf } from "./ledger.ts";
import type { CallMessage } from "./messages.ts";
import type { Noise } from "./noise.ts";
import { Recovery } from "./recovery.ts";
import { LoopWatch } from "./waiting.ts";

/** One kind of call after the other, again and again. */
export type Call = [name: string, run: (round: number) => Promise<unknown>];

/** What calls are measured with. */
export interface MeasuredCallsOptions {
  /** The kinds of calls that have to work for a store to be back. */
  kinds: ReadonlySet<string>;
  noise: Noise;
  /** The pause of each caller between two calls. */
  pauseMs: number;
  send: (message: CallMessage) => void;
}

/** Makes calls of a store, phase by phase, and writes down how each one ended. */
export class MeasuredCalls {
  readonly ledger: Ledger = new Ledger();
  readonly #options: MeasuredCallsOptions;
  #phase = "before";
  #announceAt = Infinity;
  /** Calls without an answer by the phase in which they began. */
  readonly #open = new Map<string, number>();
  #outages = 0;
  #isOut = false;
  #recovery: Recovery | undefined;
  #isStopped = false;
  readonly #stopped = Promise.withResolvers<void>();

  constructor(options: MeasuredCallsOptions) {
    this.#options = options;
  }

  /** The phase in which calls begin at the moment. */
  get phase(): string {
    return this.#phase;
  }

  /** Whether the store has found its database out. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** How many outages the store has noticed. */
  get outages(): number {
    return this.#outages;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Resolves when it is stopped. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Calls until it is stopped, beginning with the call of a number. */
  async repeat(calls: readonly Call[], first: number): Promise<void> {
    for (let round = first; !this.#isStopped; round++) {
      const [name, run] = calls[round % calls.length]!;
      await this.#measure(name, () => run(round));
      await new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs));
    }
  }

  async #measure(call: string, run: () => Promise<unknown>): Promise<void> {
    const { noise: stalls, send } = this.#options;
    const phase = this.#phase;
    const outages = this.#isOut ? this.#outages : undefined;
    const noise = stalls.total();
    const start = performance.now();
    this.#open.set(phase, (this.#open.get(phase) ?? 0) + 1);
    let error: unknown;
    let isError = false;
    const watch = outages === undefined ? undefined : new LoopWatch();
    try {
      await run();
    } catch (reason) {
      error = reason;
      isError = true;
    }
    const hasWaited = watch?.end() ?? true;
    const tookMs = performance.now() - start;
    const noiseMs = stalls.total() - noise;
    const isDuring = this.#isOut && outages === this.#outages;
    this.ledger.add({ call, phase, tookMs, noiseMs, error, isError, isDuring, hasWaited });
    if (this.ledger.phase(this.#phase).answers === this.#announceAt) {
      this.#announceAt = Infinity;
      send({ type: "reached", phase: this.#phase });
    }
    this.#noteRecovery(call, isError, { at: start, noise });
    this.#open.set(phase, this.#open.get(phase)! - 1);
    if (phase !== this.#phase) this.#announceBegan();
  }

  #announceBegan(): void {
    for (const [phase, calls] of this.#open) if (phase !== this.#phase && calls > 0) return;
    this.#options.send({ type: "began", phase: this.#phase });
  }

  #noteRecovery(call: string, isError: boolean, begun: { at: number; noise: number }): void {
    const recovered = this.#recovery?.note(call, begun, isError || this.#isOut);
    if (recovered === undefined) return;
    this.#recovery = undefined;
    this.#options.send({ type: "recovered", ...recovered });
  }

  /** Notes that an outage has begun or ended. */
  noteOutage(isOut: boolean, cause: unknown): void {
    this.#isOut = isOut;
    if (isOut) {
      this.#outages++;
      this.ledger.phase(this.#phase).outages++;
    } else {
      this.#recovery?.noteEnd();
    }
    this.#options.send({
      type: "outage",
      isOut,
      at: Date.now(),
      ...cause !== undefined && { cause: noteOf(cause) },
    });
  }

  /** Begins a phase, and says when what began before has ended, and when `answers` calls were answered. */
  begin(phase: string, answers: number): void {
    this.#phase = phase;
    this.#announceAt = this.ledger.phase(phase).answers + answers;
    if (this.#isOut) this.ledger.phase(phase).outages++;
    this.#announceBegan();
  }

  /** The database is back: says when the store is. */
  back(): void {
    this.#recovery = new Recovery(this.#options.kinds, this.#options.noise);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopped.resolve();
  }
}
