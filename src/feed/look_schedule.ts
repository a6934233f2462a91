import { startBackgroundTimer } from "../time/background_timer.ts";

/** The shortest time from the beginning of one look to the next, in milliseconds. */
const LEAST_PAUSE_MS = 20;

/** How often a round trip fits into that time: looks take at most a tenth of it. */
const ROUND_TRIPS = 10;

/** The time by which looks are scheduled. A test replaces it. */
export interface Timing {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /**
   * Calls a function after some milliseconds, unless the function that it returns is called before.
   *
   * @param isKept Whether the process stays alive until then.
   */
  start(run: () => void, delayMs: number, isKept: boolean): () => void;
}

/** The time of this process. */
export const PROCESS_TIMING: Timing = {
  now: () => performance.now(),
  start(run, delayMs, isKept) {
    const timer = isKept ? setTimeout(run, delayMs) : startBackgroundTimer(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** What became of a look. */
export interface Looked {
  /** How long the database took for the fastest of its answers, in milliseconds. */
  readonly roundTripMs: number;
  /** Whether there are no more looks until `resume` is called. */
  readonly isPaused: boolean;
}

/**
 * When to look: when a change is announced, and at an interval. Looks never overlap, and announcements in
 * quick succession lead to few of them.
 *
 * States: looking; resting; paused; ended.
 * - `look`: to looking. `resume`: paused -> looking.
 * - The look ends: looking -> resting, or looking -> paused.
 * - The interval is over: resting -> looking.
 * - `announce`: resting -> looking, once the least pause is over. An announcement during a look counts
 *   when the look has ended, because the look may have read too early.
 * - `end`: to ended.
 */
export class LookSchedule {
  readonly #intervalMs: number;
  readonly #timing: Timing;
  readonly #run: () => Promise<Looked>;
  #state: "looking" | "resting" | "paused" | "ended" = "resting";
  #isAnnounced = false;
  /** When the next look may begin because of an announcement. */
  #earliest = -Infinity;
  #stopTimer: (() => void) | undefined;

  /** @param run Looks. It never rejects. */
  constructor(intervalMs: number, timing: Timing, run: () => Promise<Looked>) {
    this.#intervalMs = intervalMs;
    this.#timing = timing;
    this.#run = run;
  }

  /** Looks now, unless a look is under way. */
  look(): void {
    if (this.#state === "looking" || this.#state === "ended") return;
    this.#stopTimer?.();
    this.#state = "looking";
    this.#isAnnounced = false;
    const beganAt = this.#timing.now();
    void this.#run().then((looked) => this.#rest(beganAt, looked));
  }

  /** Looks again after a pause that a look asked for. */
  resume(): void {
    if (this.#state === "paused") this.look();
  }

  /** Looks soon. */
  announce(): void {
    this.#isAnnounced = true;
    if (this.#state === "resting") this.#lookAt(this.#earliest, true);
  }

  end(): void {
    this.#state = "ended";
    this.#stopTimer?.();
  }

  #rest(beganAt: number, { roundTripMs, isPaused }: Looked): void {
    if (this.#state === "ended") return;
    this.#state = isPaused ? "paused" : "resting";
    const pause = Math.max(LEAST_PAUSE_MS, ROUND_TRIPS * roundTripMs);
    this.#earliest = beganAt + Math.min(this.#intervalMs, pause);
    if (isPaused) return;
    // A look that took longer than its interval is followed by a pause all the same.
    const next = Math.max(beganAt + this.#intervalMs, this.#timing.now() + 1);
    this.#lookAt(this.#isAnnounced ? this.#earliest : next, this.#isAnnounced);
  }

  /** A process that has nothing else to do stays for a change that was announced, not for the interval. */
  #lookAt(moment: number, isAnnounced: boolean): void {
    this.#stopTimer?.();
    const delay = moment - this.#timing.now();
    if (delay > 0) this.#stopTimer = this.#timing.start(() => this.look(), delay, isAnnounced);
    else this.look();
  }
}
