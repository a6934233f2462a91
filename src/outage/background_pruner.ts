import { startBackgroundTimer } from "../time/background_timer.ts";

/** The longest average interval between two prunings, in milliseconds. */
const MAX_INTERVAL_MS = 60_000;

/** How many circuits one pruning removes at most. */
const LIMIT = 10_000;

/**
 * Removes idle circuits in the background, at random moments. The statement lets one instance work
 * at a time. After a failure it tries again at the next moment.
 */
export class BackgroundPruner {
  readonly #prune: (idleMs: number, limit: number) => Promise<unknown>;
  readonly #idleMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  constructor(prune: (idleMs: number, limit: number) => Promise<unknown>, idleMs: number) {
    this.#prune = prune;
    this.#idleMs = idleMs;
    this.#schedule();
  }

  /** Stops for good. */
  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isEnded) return;
    const interval = Math.min(this.#idleMs, MAX_INTERVAL_MS);
    this.#timer = startBackgroundTimer(
      () => void this.#pruneOnce(),
      interval * (0.5 + Math.random()),
    );
  }

  async #pruneOnce(): Promise<void> {
    try {
      await this.#prune(this.#idleMs, LIMIT);
    } catch {
      // The dispatcher has reported the error.
    }
    this.#schedule();
  }
}
