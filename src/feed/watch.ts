import { startBackgroundTimer } from "../time/background.ts";
import type { ChangeListener, Histories } from "../rules/circuit.ts";
import type { CircuitChange, WatchOptions } from "../types.ts";
import { resolveWatchOptions } from "../options/watch.ts";
import { isOutage } from "../errors.ts";
import type { Feed } from "../ports.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import { ChangeTail } from "./change_tail.ts";

/** So many changes may wait for a slow consumer, and those of one look more. */
const MAX_QUEUE = 10_000;

/** How far apart looks are where no bound of staleness says so, in milliseconds. */
const DEFAULT_INTERVAL_MS = 1000;

/** What is watched, and how. */
export interface WatchSource {
  /** What circuits remember. */
  circuits: { history(): Promise<Histories> };
  /** Says when to look. */
  feed: Feed;
  clock: CallerClock;
  /** How long a change may go unnoticed where nothing is announced; 0 for the default. */
  maxStalenessMs: number;
}

/** The watches of one store, each of which knows for itself what it has told. */
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

  /** Ends those that run and those that are still to come. */
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
 * Changes of circuits as they happen. Whatever is announced only says when to look: what is told
 * comes from what the circuits remember, so nothing depends on what was announced and heard.
 */
class Watch implements AsyncIterableIterator<CircuitChange>, ChangeListener {
  readonly #source: WatchSource;
  readonly #signal: WatchOptions["signal"];
  readonly #onEnd: () => void;
  readonly #told: ChangeTail;
  #queue: CircuitChange[] = [];
  /** Calls of `next` that found nothing, in their order. */
  #waiting: Waiting[] = [];
  #unsubscribe: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  /** Whether to look again as soon as that is possible. */
  #isDue = false;
  #hasLooked = false;
  #failure: { error: unknown } | undefined;
  #isEnded = false;

  constructor(source: WatchSource, signal: WatchOptions["signal"], onEnd: () => void) {
    this.#source = source;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#told = new ChangeTail(source.clock);
  }

  begin(): void {
    this.#signal?.addEventListener("abort", this.end);
    this.#unsubscribe = this.#source.feed.subscribe(this);
    this.#look();
  }

  /** A field, because it is what hears of the signal. */
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

  /** One look at a time, and none while the consumer has enough to do. */
  #look(): void {
    if (this.#isEnded) return;
    if (this.#isLooking || this.#queue.length >= MAX_QUEUE) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#isLooking = true;
    this.#isDue = false;
    this.#source.circuits.history().then((histories) => {
      if (this.#isEnded) return;
      for (const change of this.#told.tell(histories)) this.#deliver(change);
      this.#hasLooked = true;
    }).catch((error) => {
      // An outage passes, and what circuits remember is still there after it.
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
