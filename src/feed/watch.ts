import { startBackgroundTimer } from "../time/background_timer.ts";
import type { ChangeListener, Feed, Tail } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitChange, WatchOptions } from "../types.ts";
import { resolveWatchOptions } from "../options/watch.ts";
import { isOutage } from "../errors.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import { ChangeTail } from "./change_tail.ts";

/** How many changes may wait for a slow consumer. Those of one look may exceed it. */
const MAX_QUEUE = 10_000;

/** The interval between two looks where no bound of staleness sets one, in milliseconds. */
const DEFAULT_INTERVAL_MS = 1000;

/** What a watch needs. */
export interface WatchSource {
  /** Reads what the circuits remember. */
  circuits: Pick<Tail, "history">;
  /** Begins the call of a look. */
  begin: () => Call;
  /** Announces changes. */
  feed: Feed;
  clock: CallerClock;
  /** How long a change may go unnoticed where nothing is announced; 0 for the default. */
  maxStalenessMs: number;
}

/** The watches of one store. Each delivers every change by itself. */
export class Watches {
  readonly #source: WatchSource;
  readonly #running = new Set<Watch>();
  #isEnded = false;

  constructor(source: WatchSource) {
    this.#source = source;
  }

  /** Watches from now on. */
  begin(options: WatchOptions): AsyncIterableIterator<CircuitChange> {
    const { signal } = resolveWatchOptions(options);
    const watch = new Watch(this.#source, signal, () => this.#running.delete(watch));
    if (this.#isEnded || signal?.aborted) {
      watch.end();
    } else {
      this.#running.add(watch);
      watch.begin();
    }
    return watch;
  }

  /** Ends all watches, and each later one as soon as it begins. */
  end(): void {
    this.#isEnded = true;
    for (const watch of this.#running) watch.end();
  }
}

interface Waiting {
  resolve(result: IteratorResult<CircuitChange>): void;
  reject(error: unknown): void;
}

/**
 * Delivers changes of circuits as they happen. A look reads what the circuits remember, and each
 * change comes from there. An announcement only says when to look, so a lost one loses no change.
 *
 * States: looking; resting; paused; ended.
 * - `begin`: to looking.
 * - The look ends: looking -> looking where a change was announced meanwhile; looking -> paused where
 *   too many changes wait for the consumer; otherwise looking -> resting.
 * - The interval is over, `onChange`, `onGap`: resting -> looking.
 * - `next` takes the last change that waits: paused -> looking.
 * - `end`, `return`, the signal: to ended. The changes that wait are dropped.
 * - The first look fails, and not because of an outage: to ended, with the error for the consumer.
 */
class Watch implements AsyncIterableIterator<CircuitChange>, ChangeListener {
  readonly #source: WatchSource;
  readonly #signal: WatchOptions["signal"];
  readonly #onEnd: () => void;
  readonly #tail: ChangeTail;
  #queue: CircuitChange[] = [];
  /** Calls of `next` that found no change, in their order. */
  #waiting: Waiting[] = [];
  #unsubscribe: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  /** Whether to look again as soon as possible. */
  #isDue = false;
  #hasLooked = false;
  #failure: { error: unknown } | undefined;
  #isEnded = false;

  constructor(source: WatchSource, signal: WatchOptions["signal"], onEnd: () => void) {
    this.#source = source;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#tail = new ChangeTail(source.clock);
  }

  begin(): void {
    this.#signal?.addEventListener("abort", this.end);
    this.#unsubscribe = this.#source.feed.subscribe(this);
    this.#look();
  }

  /** Ends the watch. A field, because it is also the listener of the signal. */
  readonly end = (): void => {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#unsubscribe?.();
    this.#signal?.removeEventListener("abort", this.end);
    this.#onEnd();
    this.#queue = [];
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  };

  onChange(): void {
    this.#look();
  }

  onGap(): void {
    this.#look();
  }

  next(): Promise<IteratorResult<CircuitChange>> {
    const value = this.#queue.shift();
    if (value !== undefined) {
      if (this.#queue.length === 0 && this.#isDue) this.#look();
      return Promise.resolve({ done: false, value });
    }
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<CircuitChange>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Looks, or notes that a look is due: one runs at a time, and none while too many changes wait. */
  #look(): void {
    if (this.#isEnded) return;
    if (this.#isLooking || this.#queue.length >= MAX_QUEUE) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#isLooking = true;
    this.#isDue = false;
    this.#source.circuits.history(this.#source.begin()).then((histories) => {
      if (this.#isEnded) return;
      for (const change of this.#tail.changesSince(histories)) this.#deliver(change);
      this.#hasLooked = true;
    }).catch((error) => {
      // After an outage the circuits still remember their changes.
      if (!this.#hasLooked && !isOutage(error)) this.#fail(error);
      this.#isDue = false;
    }).then(() => this.#goOn());
  }

  #goOn(): void {
    this.#isLooking = false;
    if (this.#isEnded) return;
    if (this.#isDue || this.#queue.length >= MAX_QUEUE) {
      this.#look();
    } else {
      const interval = this.#source.maxStalenessMs || DEFAULT_INTERVAL_MS;
      this.#timer = startBackgroundTimer(() => this.#look(), interval);
    }
  }

  #deliver(change: CircuitChange): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue.push(change);
    else waiting.resolve({ done: false, value: change });
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#failure = { error };
    else waiting.reject(error);
    this.end();
  }
}
