import { startBackgroundTimer } from "../time/background.ts";

/** Clean-ups of one instance are on average so far apart, or as far as circuits may idle. */
const MAX_INTERVAL_MS = 60_000;

/** How many circuits one clean-up removes at most. */
const LIMIT = 10_000;

/**
 * Removes idle circuits in the background. Instances wake at random moments, and an advisory lock
 * lets one of them work at a time. What fails is tried again at the next turn.
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
    this.#timer = startBackgroundTimer(() => void this.#work(), interval * (0.5 + Math.random()));
  }

  async #work(): Promise<void> {
    await this.#prune(this.#idleMs, LIMIT).catch(() => {});
    this.#schedule();
  }
}
