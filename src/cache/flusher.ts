import { CircuitBreakerStoreError } from "../errors.ts";
import type { FlushResult, Instance } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import type { CacheEntries } from "./entries.ts";
import { LastCount, type OpenFlush, PIECE } from "./last_count.ts";
import type { Timers } from "../time/timers.ts";
import type { Origin } from "./origin.ts";

/**
 * In which part of the time successes are counted. The first flush of an instance is sent in any part of it:
 * instances that begin together are spread over the whole time from then on.
 */
const FIRST = 0.15;
const EARLIEST = 0.75;
const LATEST = 0.95;

/** By default, successes are counted within this time, in milliseconds. */
const COUNT_WITHIN_MS = 60_000;

/** The pause before a flush that found another one running is sent again, as a share of the time. */
const RETRY = 1 / 8;

/** How often the row of the instance is renewed at least, in milliseconds, where nothing is counted. */
const RENEW_MS = 60_000;

/** What a flusher needs. */
export interface FlusherOptions {
  instance: Instance;
  countWithinMs: number | undefined;
  maxStalenessMs: number;
  deadlines: CallDeadlines;
  timers: Timers;
  random: () => number;
  onError: (error: unknown) => void;
  /** Reads circuits whole. Never fails. */
  readWhole: (entries: readonly CachedCircuit[]) => Promise<void>;
}

/**
 * Counts the successes that wait, each exactly once.
 *
 * States: at rest; due (a timer runs); flushing; ended.
 * - `note`: at rest -> due, within `countWithinMs` of the first success.
 * - The time is over: due -> flushing. Pieces of up to 1,000 circuits are counted one after the
 *   other, each with the next number.
 * - All are counted: flushing -> at rest.
 * - Some are left over, because their rows are locked or missing: flushing -> due. They wait again.
 *   A row is made for a circuit in regular use.
 * - Another flush is running: flushing -> due, with the same content and number.
 * - The answer is lost: flushing -> due. The next attempt finds out what became of it first. What was
 *   not counted is sent again with its number, which counts at most once.
 * - The row of the instance is gone: the successes of this piece are dropped, because they can have
 *   been counted. It is reported, and the row is made again.
 * - The database is out: flushing -> due.
 * - A run that does not end is replaced by another, which begins with its flush. It sends no more then.
 * - `end`: to ended.
 */
export class Flusher {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  readonly #options: FlusherOptions;
  #timer: unknown;
  #number = 0;
  #open: OpenFlush | undefined;
  #running: Promise<void> | undefined;
  /** How many runs have begun. */
  #runs = 0;
  #registering: Promise<void> | undefined;
  /** When the row of the instance was last written, by the timers' clock. */
  #seenAt = -Infinity;
  #isEnded = false;

  constructor(origin: Origin, entries: CacheEntries, options: FlusherOptions) {
    this.#origin = origin;
    this.#entries = entries;
    this.#options = options;
  }

  /** There are successes that wait. */
  note(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#isEnded) return;
    const { countWithinMs = COUNT_WITHIN_MS, random } = this.#options;
    const earliest = this.#number === 0 ? FIRST : EARLIEST;
    this.#schedule(countWithinMs * (earliest + (LATEST - earliest) * random()));
  }

  /** Writes the row of the instance where it is due. Never fails. */
  async renew(): Promise<void> {
    if (this.#isEnded) return;
    await this.#register().catch(() => {}); // the statement was reported, and the next refresh tries
  }

  /**
   * Counts what waits, in statements that wait for their rows, until the deadline of a call.
   *
   * @param others Resolves when no other statement counts successes.
   * @throws {CircuitBreakerStoreError} If successes were not counted.
   */
  async end(call: Call, others?: Promise<void>): Promise<void> {
    this.#isEnded = true;
    this.#options.timers.stop(this.#timer);
    const last = new LastCount(this.#origin, this.#entries, this.#options);
    await last.run(call, async () => {
      await others;
      if (this.#options.timers.canJoin) await this.#running;
      const open = this.#open;
      this.#open = undefined;
      return open;
    }, (open, result) => this.#close(open, result));
  }

  #schedule(delayMs: number): void {
    if (this.#isEnded) return;
    this.#options.timers.stop(this.#timer);
    this.#timer = this.#options.timers.start(() => {
      this.#timer = undefined;
      return this.#running = this.#run(++this.#runs);
    }, delayMs);
  }

  async #run(run: number): Promise<void> {
    await this.#count(run);
    if (run !== this.#runs) return;
    this.#running = undefined;
    if (this.#isEnded || this.#timer !== undefined) return;
    if (this.#open !== undefined) this.#retry();
    else if (this.#entries.hasCountable) this.note();
  }

  #retry(): void {
    const { countWithinMs = COUNT_WITHIN_MS, maxStalenessMs, random } = this.#options;
    this.#schedule(Math.min(maxStalenessMs, countWithinMs * RETRY) * (0.5 + random()));
  }

  async #count(run: number): Promise<void> {
    if (this.#origin.isOut) return this.#retry();
    try {
      if (this.#open !== undefined && !await this.#settle(this.#open)) return;
      const entries = this.#entries.countable();
      for (let from = 0; from < entries.length && !this.#isEnded; from += PIECE) {
        await this.#register();
        const piece = entries.slice(from, from + PIECE);
        await this.#addMissing(piece);
        if (run !== this.#runs) return;
        // While the row was made, the successes may have been dropped.
        if (!await this.#flush(piece.filter((entry) => entry.isCountable))) return;
      }
    } catch {
      this.#retry(); // the statement was reported, and nothing was taken for it
    }
  }

  /** Counts the successes of some circuits. Returns `false` where the result is not final. */
  #flush(entries: readonly CachedCircuit[]): Promise<boolean> {
    if (entries.length === 0) return Promise.resolve(true);
    const order = this.#entries.nextOrder();
    const deferred = entries.map((entry) => ({ key: entry.key, ...entry.successes.take(order) }));
    this.#open = { flush: { number: ++this.#number, deferred }, entries, isLost: false };
    return this.#send(this.#open);
  }

  /** Finds out what became of a flush, and sends it again where it counted nothing. */
  async #settle(open: OpenFlush): Promise<boolean> {
    if (open.isLost) {
      const { deadlines, instance } = this.#options;
      const result = await this.#origin.findFlush(deadlines.begin(), instance, open.flush);
      if (result.outcome !== "busy") return this.#finish(open, result);
    }
    return await this.#send(open);
  }

  async #send(open: OpenFlush): Promise<boolean> {
    const { deadlines, instance } = this.#options;
    let result: FlushResult;
    // Until an answer says otherwise: it may never come.
    open.isLost = true;
    try {
      result = await this.#origin.flush(deadlines.begin(), instance, open.flush);
    } catch {
      return false;
    }
    open.isLost = result.outcome !== "busy";
    return open.isLost && this.#finish(open, result);
  }

  async #finish(open: OpenFlush, result: FlushResult): Promise<boolean> {
    // Another run, or the end, has found out the same.
    if (this.#open !== open) return false;
    this.#open = undefined;
    const leftOver = this.#close(open, result);
    if (leftOver.length === 0) return true;
    // A row that is missing is made before the next attempt; one that is locked may be free then.
    await this.#options.readWhole(leftOver.filter((entry) => !entry.isAbsent));
    if (leftOver.some((entry) => entry.isCountable)) this.#retry();
    return true;
  }

  /** Takes over the final result of a flush. Returns the circuits that are left over. */
  #close({ flush, entries }: OpenFlush, result: FlushResult): CachedCircuit[] {
    if (result.outcome === "done") {
      this.#seenAt = this.#options.timers.now();
      const keys = new Set(result.leftOver);
      const order = this.#entries.nextOrder();
      entries.forEach(({ key, successes }, i) => {
        const taken = flush.deferred[i]!;
        if (keys.has(key)) successes.putBack(taken);
        else successes.wasCounted(taken, order);
      });
      return entries.filter(({ key }) => keys.has(key));
    }
    this.#seenAt = -Infinity;
    entries.forEach((entry, i) => {
      entry.successes.drop(flush.deferred[i]!);
      this.#entries.forget(entry);
    });
    const dropped = flush.deferred.reduce((sum, { successes }) => sum + successes, 0);
    this.#options.onError(
      new CircuitBreakerStoreError(
        `Cannot count successes: the row of this instance was removed: ` +
          `${dropped} acknowledged successes can be missing`,
      ),
    );
    return [];
  }

  /** Makes rows for circuits in regular use that have none. */
  async #addMissing(entries: readonly CachedCircuit[]): Promise<void> {
    const keys = entries.filter((entry) => entry.isAbsent).map(({ key }) => key);
    if (keys.length > 0) await this.#origin.addCircuits(this.#options.deadlines.begin(), keys);
  }

  async #register(): Promise<void> {
    const { instance, deadlines, timers } = this.#options;
    if (timers.now() - this.#seenAt < RENEW_MS) return;
    if (timers.canJoin && this.#registering !== undefined) return await this.#registering;
    this.#registering = this.#origin.register(deadlines.begin(), instance)
      .then(() => void (this.#seenAt = timers.now()))
      .finally(() => void (this.#registering = undefined));
    await this.#registering;
  }
}
