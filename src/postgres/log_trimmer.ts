import { BACKGROUND_TIMERS, type Timers } from "../time/timers.ts";

/** The share of `historyRows` that an instance may write before it removes rows. */
const SHARE = 10;

/** The most rows that it writes before it does. */
const MOST_ROWS = 1000;

/** How long after a row was written the log is pruned, in milliseconds, on average. */
const REST_MS = 60_000;

/** The longest interval between two prunings of an instance that has written once, in milliseconds. */
const MAX_INTERVAL_MS = 3_600_000;

/**
 * Keeps the log bounded. The more an instance writes, the more often it removes rows, so that the work
 * grows with the changes and not with the fleet. Rows also grow old while nothing changes.
 *
 * States: at rest (nothing was ever written); waiting (the timer runs); pruning; ended.
 * - `onLogged`: at rest -> waiting, for a minute. After a share of `historyRows`: waiting -> pruning.
 * - The timer fires: waiting -> pruning.
 * - The statement ends: pruning -> waiting, for an hour, or for a minute where rows were written.
 * - `end`: to ended.
 */
export class LogTrimmer {
  readonly #prune: () => Promise<unknown>;
  readonly #rows: number;
  readonly #intervalMs: number;
  #written: number;
  #isPruning = false;
  readonly #timers: Timers;
  #timer: unknown;
  /** Whether the timer is set for rows that were written. */
  #isSoon = false;
  #isEnded = false;

  constructor(
    prune: () => Promise<unknown>,
    { historyMs, historyRows }: { historyMs: number; historyRows: number },
    timers: Timers = BACKGROUND_TIMERS,
  ) {
    this.#timers = timers;
    this.#prune = prune;
    this.#intervalMs = Math.min(historyMs, MAX_INTERVAL_MS);
    this.#rows = Math.max(1, Math.min(Math.floor(historyRows / SHARE), MOST_ROWS));
    // Instances that write equally much do not prune at the same moment.
    this.#written = Math.floor(Math.random() * this.#rows);
  }

  /** Rows of the log were written. */
  onLogged(rows: number): void {
    this.#written += rows;
    if (this.#written < this.#rows) {
      if (!this.#isSoon) this.#schedule(Math.min(REST_MS, this.#intervalMs), true);
    } else if (!this.#isPruning) {
      this.#timers.run(() => this.#run());
    }
  }

  /** Stops for good. */
  end(): void {
    this.#isEnded = true;
    this.#timers.stop(this.#timer);
  }

  #schedule(ms: number, isSoon: boolean): void {
    this.#timers.stop(this.#timer);
    if (this.#isEnded) return;
    this.#isSoon = isSoon;
    this.#timer = this.#timers.start(() => this.#run(), ms * (0.5 + Math.random()));
  }

  async #run(): Promise<void> {
    if (this.#isEnded) return;
    this.#isPruning = true;
    this.#written = 0;
    try {
      await this.#prune();
    } catch {
      // The next time tries again. The dispatcher has reported the error.
    }
    this.#isPruning = false;
    if (this.#written >= this.#rows) return await this.#run();
    const isSoon = this.#written > 0;
    this.#schedule(isSoon ? Math.min(REST_MS, this.#intervalMs) : this.#intervalMs, isSoon);
  }
}
