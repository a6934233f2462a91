import { isOutage } from "../errors.ts";
import type { Feed, Tail } from "../ports.ts";
import { type ResolvedWatchOptions, resolveWatchOptions } from "../options/watch.ts";
import type { Call } from "../time/call.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitChange, WatchOptions } from "../operator_types.ts";
import { ChangeQueue } from "./change_queue.ts";
import { decodeCursor } from "./cursor.ts";
import {
  isShown,
  type LogFilter,
  LogReader,
  type ReadPage,
  toCircuitChange,
} from "./log_reader.ts";
import { type Looked, LookSchedule, PROCESS_TIMING, type Timing } from "./look_schedule.ts";

/** How many changes a statement reads at most. */
const PAGE_SIZE = 1000;

/** The interval between two looks where no bound of staleness sets one, in milliseconds. */
const DEFAULT_INTERVAL_MS = 1000;

/** What a watch needs. */
export interface WatchSource {
  log: Pick<Tail, "log">;
  /** Begins the call of one statement. */
  begin: () => Call;
  /** Announces changes. */
  feed: Feed;
  clock: Pick<CallerClock, "toCaller">;
  /** How long a change may go unnoticed where nothing is announced; 0 for the default. */
  maxStalenessMs: number;
  /** The caller's clock, where it is the one that decides. */
  now?: (() => number) | undefined;
  /** Whether the log is asked at the moment of the call itself, as one in memory is. */
  isImmediate?: boolean;
  /** The versions of circuits that this process knows at a moment. */
  known?: () => ReadonlyMap<string, number>;
  /** The time of this process; a test replaces it. */
  timing?: Timing;
}

/** The watches of one store. Each delivers every change by itself. */
export class Watches {
  readonly #source: WatchSource;
  readonly #running = new Set<Watch>();
  #isEnded = false;

  constructor(source: WatchSource) {
    this.#source = source;
  }

  /** Watches from now on, or from a cursor on. */
  begin(options: WatchOptions): AsyncIterableIterator<CircuitChange> {
    const resolved = resolveWatchOptions(options);
    const watch = new Watch(this.#source, resolved, () => this.#running.delete(watch));
    if (this.#isEnded || resolved.signal?.aborted) {
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

/**
 * Delivers changes of circuits as they happen. A look reads the log from where the last one ended, so a
 * lost announcement loses no change, and neither does a look that fails.
 *
 * States: beginning; reading on; ended.
 * - A watch without a cursor begins with the moment of its first look that succeeds. What happened
 *   between the call of `watch` and that moment is read next: what is not older, by the clock that
 *   decides, than the time of that moment less the time that the look took since the call. That
 *   includes the time that the answer took to come back. So a change of the last round trip before the
 *   call can be delivered too, unless this process knows it already, and none after the call is missed.
 * - These were read: beginning -> reading on. A watch with a cursor is reading on from its first look.
 * - `end`, `return`, the signal: to ended. The changes that wait are dropped.
 * - The first look fails, and not because of an outage: to ended, with the error for the consumer.
 */
class Watch implements AsyncIterableIterator<CircuitChange> {
  readonly #source: WatchSource;
  readonly #options: ResolvedWatchOptions;
  readonly #onEnd: () => void;
  readonly #timing: Timing;
  readonly #queue = new ChangeQueue();
  readonly #schedule: LookSchedule;
  /** When `watch` was called, by the clock of this process, and by the caller's where that decides. */
  readonly #calledAt: { readonly own: number; readonly caller: number | undefined };
  /** What this process knew then; `undefined` once the watch reads on. */
  #known: ReadonlyMap<string, number> | undefined;
  #reader: LogReader | undefined;
  #unsubscribe: (() => void) | undefined;
  #hasLooked = false;
  #isEnded = false;

  constructor(source: WatchSource, options: ResolvedWatchOptions, onEnd: () => void) {
    this.#source = source;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#timing = source.timing ?? PROCESS_TIMING;
    this.#calledAt = { own: this.#timing.now(), caller: source.now?.() };
    if (options.after !== undefined) {
      const place = decodeCursor("watch circuits", options.after);
      this.#reader = new LogReader(source.log, this.#filter(undefined), place);
    } else if (!source.isImmediate) {
      this.#known = source.known?.() ?? new Map();
    }
    const interval = source.maxStalenessMs || DEFAULT_INTERVAL_MS;
    this.#schedule = new LookSchedule(interval, this.#timing, () => this.#look());
  }

  begin(): void {
    this.#options.signal?.addEventListener("abort", this.end);
    this.#unsubscribe = this.#source.feed.subscribe(() => this.#schedule.announce());
    this.#schedule.look();
  }

  /** Ends the watch. A field, because it is also the listener of the signal. */
  readonly end = (): void => {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#schedule.end();
    this.#unsubscribe?.();
    this.#options.signal?.removeEventListener("abort", this.end);
    this.#onEnd();
    this.#queue.end();
  };

  next(): Promise<IteratorResult<CircuitChange>> {
    const wasEmpty = this.#queue.isEmpty;
    const next = this.#queue.next();
    if (!wasEmpty && this.#queue.isEmpty) this.#schedule.resume();
    return next;
  }

  return(): Promise<IteratorResult<CircuitChange>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Reads to the end of the log, or until too many changes wait for the consumer. */
  async #look(): Promise<Looked> {
    let roundTripMs = Infinity;
    const timed = async <Result>(answer: Promise<Result>): Promise<Result> => {
      const sentAt = this.#timing.now();
      const result = await answer;
      roundTripMs = Math.min(roundTripMs, this.#timing.now() - sentAt);
      return result;
    };
    try {
      for (let isAtEnd = false; !isAtEnd && !this.#queue.isFull && !this.#isEnded;) {
        this.#reader ??= await timed(this.#startReading());
        if (this.#isEnded) break;
        const page = await timed(this.#reader.read(this.#source.begin(), PAGE_SIZE));
        this.#hasLooked = true;
        this.#deliver(page);
        isAtEnd = page.isAtEnd;
      }
    } catch (error) {
      // After an outage the log still has the changes.
      if (!this.#hasLooked && !isOutage(error) && !this.#isEnded) {
        this.#queue.fail(error);
        this.end();
      }
    }
    return { roundTripMs, isPaused: this.#queue.isFull };
  }

  /** Begins at this moment, and reads first what happened since the call. */
  async #startReading(): Promise<LogReader> {
    const { log, begin, isImmediate } = this.#source;
    const { cursor, readAt } = await log.log(begin(), {
      after: undefined,
      until: undefined,
      afterVersion: undefined,
      ...this.#filter(undefined),
      limit: 0,
    });
    if (isImmediate) {
      const now = { from: cursor, to: undefined, version: undefined };
      return new LogReader(log, this.#filter(undefined), now);
    }
    const { own, caller } = this.#calledAt;
    const elapsed = this.#timing.now() - own;
    const since = caller === undefined ? readAt - elapsed : Math.min(caller, readAt);
    const meanwhile = { from: undefined, to: cursor, version: undefined };
    return new LogReader(log, this.#filter(Math.floor(since)), meanwhile);
  }

  #deliver({ changes, breakReason, readAt }: ReadPage): void {
    if (this.#isEnded) return;
    const { clock, log } = this.#source;
    if (breakReason !== undefined) this.#announceBreak(clock.toCaller(readAt), breakReason);
    for (const each of changes) {
      const { key, version } = each.change;
      if (version <= (this.#known?.get(key) ?? -1)) continue;
      if (isShown(each.change, { rounds: this.#options.rounds, acts: false })) {
        this.#queue.push(toCircuitChange(each, clock));
      }
    }
    const { place } = this.#reader!;
    if (this.#known === undefined || place.to !== undefined) return;
    // From here on no time and no version decides: what becomes visible now is new.
    this.#known = undefined;
    this.#reader = new LogReader(log, this.#filter(undefined), place);
  }

  #announceBreak(at: number, reason: string): void {
    const { onBreak } = this.#options;
    if (onBreak === undefined) return;
    try {
      // An `async` function too: its rejection would end the process.
      Promise.resolve(onBreak({ at, reason })).catch(() => {});
    } catch {
      // A listener's mistake does not end the watch.
    }
  }

  #filter(since: number | undefined): LogFilter {
    return { key: undefined, since, hasRounds: this.#options.rounds };
  }
}
