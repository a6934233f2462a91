import { isRequestBound } from "../edge/request_bound.ts";
import { endWithin } from "../time/end_within.ts";

/** How many results may be under way in the background. Beyond it a call waits for its own. */
const MAX_UNDERWAY = 1000;

/** How long the end of a breaker waits for results that are under way, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

/** Results that are being recorded while their calls have ended. */
export class Records {
  readonly #isAwaited: boolean;
  /** The store keeps the request alive for its work. That of a request that was cancelled never ends. */
  readonly #isRequestBound = isRequestBound();
  readonly #underway = new Set<Promise<void>>();
  #isEnded = false;

  /** @param isAwaited Whether each call waits for its own. */
  constructor(isAwaited: boolean) {
    this.#isAwaited = isAwaited;
  }

  /**
   * Takes a result that is being recorded, which never rejects. Returns it where the call has to wait for
   * it.
   */
  take(recording: Promise<void>): Promise<void> | undefined {
    const isFull = this.#underway.size >= MAX_UNDERWAY;
    if (!isFull && !this.#isRequestBound) {
      // Also where the call waits: one that is aborted has ended before its record.
      this.#underway.add(recording);
      void recording.then(() => this.#underway.delete(recording));
    }
    return this.#isAwaited || this.#isEnded || isFull ? recording : undefined;
  }

  /**
   * Waits until what is under way is recorded, or has failed. From now on each call waits for its own.
   *
   * @throws {StoreTimeoutError} If that takes too long.
   */
  async end(): Promise<void> {
    this.#isEnded = true;
    if (this.#underway.size === 0) return;
    const settled = Promise.all(this.#underway).then(() => {});
    await endWithin(CLOSE_TIMEOUT_MS, "close circuit breaker", settled);
  }
}
