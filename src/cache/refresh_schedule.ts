import type { Timers } from "../time/timers.ts";

/** By default, a refresh is sent after this share of the bound. */
const REFRESH_AFTER = 0.95;

/** The room for the answer, in round trips of the average. */
const ROOM = 3;

/** Refreshes by announcement are at least this far apart: in round trips, and in milliseconds. */
const ANNOUNCED_ROUND_TRIPS = 3;
const ANNOUNCED_MS = 20;

/** An interval counts for the use of circuits when this share of it has passed. */
const WHOLE_INTERVAL = 0.75;

/** What a schedule needs. */
export interface RefreshScheduleOptions {
  maxStalenessMs: number;
  timers: Timers;
  random: () => number;
  /** The share of the bound between two refreshes, where the database answers in the rest of it. */
  refreshAfter?: number | undefined;
  /** Refreshes. Returns `false` where it failed. */
  refresh: () => Promise<boolean>;
  /** Whether anything is to be refreshed. Called when a refresh has ended. */
  isNeeded: () => boolean;
}

/**
 * Decides when the cache refreshes: once per interval, and soon after an announcement.
 *
 * States: at rest; scheduled; refreshing; ended.
 * - `wake`: at rest -> refreshing.
 * - The time is over: scheduled -> refreshing.
 * - `announce`: scheduled, for an earlier time. During a refresh: another one follows it.
 * - The refresh ends: refreshing -> scheduled, or at rest where nothing is to be refreshed.
 * - `end`: to ended.
 *
 * The interval counts from when a refresh was sent. It leaves room in the bound for the answer to the
 * next one, so that a busy circuit never waits.
 */
export class RefreshSchedule {
  readonly #options: RefreshScheduleOptions;
  #timer: unknown;
  #isRefreshing = false;
  #isAnnounced = false;
  #isEnded = false;
  /** When the next refresh is due without an announcement. */
  #dueAt = 0;
  #announcedAt = -Infinity;
  /** How long a refresh takes: a running average. */
  #roundTripMs = 0;
  /** When the last interval passed that counts for the use of circuits. */
  #intervalAt = 0;

  constructor(options: RefreshScheduleOptions) {
    this.#options = options;
  }

  /** How long to wait between two refreshes, from when one is sent to when the next one is. */
  get intervalMs(): number {
    const { maxStalenessMs: bound, refreshAfter = REFRESH_AFTER } = this.#options;
    const latest = bound - ROOM * this.#roundTripMs - 5;
    return Math.max(bound / 2, Math.min(bound * refreshAfter, latest));
  }

  /** Circuits are in use from now on. */
  beginInterval(now: number): void {
    this.#intervalAt = now;
  }

  /** Whether an interval has passed, and another one begins: announced refreshes are more often. */
  passInterval(now: number): boolean {
    if (now - this.#intervalAt < WHOLE_INTERVAL * this.intervalMs) return false;
    this.#intervalAt = now;
    return true;
  }

  /** Something is to be refreshed from now on. */
  wake(): void {
    if (this.#timer !== undefined || this.#isRefreshing || this.#isEnded) return;
    this.#options.timers.run(() => this.#refresh());
  }

  /** Other instances have changed circuits: refreshes soon. */
  announce(): void {
    if (this.#timer === undefined && !this.#isRefreshing) return;
    this.#isAnnounced = true;
    if (this.#timer !== undefined) this.#schedule();
  }

  /** A refresh has taken this long. An average, so that a slow one does not double their rate. */
  measured(roundTripMs: number): void {
    this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 4;
  }

  end(): void {
    this.#isEnded = true;
    this.#options.timers.stop(this.#timer);
    this.#timer = undefined;
  }

  async #refresh(): Promise<void> {
    const { timers, maxStalenessMs, random, refresh, isNeeded } = this.#options;
    const sentAt = timers.now();
    const wasAnnounced = this.#isAnnounced;
    if (wasAnnounced) this.#announcedAt = sentAt;
    this.#timer = undefined;
    this.#isAnnounced = false;
    this.#isRefreshing = true;
    const isDone = await refresh();
    this.#isRefreshing = false;
    if (this.#isEnded) return;
    if (!isNeeded()) {
      this.#isAnnounced = false;
      return;
    }
    // An announcement reaches all instances at once. From then on they are spread again.
    const share = wasAnnounced ? 0.5 + random() / 2 : 1;
    const pauseMs = isDone ? this.intervalMs * share : this.intervalMs / 4;
    this.#dueAt = Math.max(sentAt + pauseMs, timers.now() + maxStalenessMs / 10);
    this.#schedule();
  }

  #schedule(): void {
    const { timers } = this.#options;
    const pauseMs = Math.max(ANNOUNCED_MS, ANNOUNCED_ROUND_TRIPS * this.#roundTripMs);
    const dueAt = this.#isAnnounced
      ? Math.min(this.#dueAt, this.#announcedAt + pauseMs)
      : this.#dueAt;
    timers.stop(this.#timer);
    this.#timer = timers.start(() => this.#refresh(), Math.max(0, dueAt - timers.now()));
  }
}
