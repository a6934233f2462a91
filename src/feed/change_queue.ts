import type { CircuitChange } from "../operator_types.ts";

/** How many changes may wait for a slow consumer. Those of one page may exceed it. */
const MAX_QUEUE = 10_000;

interface Waiting {
  resolve(result: IteratorResult<CircuitChange>): void;
  reject(error: unknown): void;
}

/**
 * Changes on their way to a consumer, which asks for one after the other.
 *
 * States: open; failed; ended.
 * - `push`: the oldest call of `next` that waits gets the change, otherwise the change waits.
 * - `fail`: open -> failed. The oldest call of `next` that waits gets the error, otherwise the next one.
 *   Changes that wait are dropped.
 * - `end`, or the error was delivered: to ended. All calls of `next` that wait are answered.
 */
export class ChangeQueue {
  #changes: CircuitChange[] = [];
  /** Calls of `next` that found no change, in their order. */
  readonly #waiting: Waiting[] = [];
  #failure: { error: unknown } | undefined;
  #isEnded = false;

  /** Whether more changes wait than there should. */
  get isFull(): boolean {
    return this.#changes.length >= MAX_QUEUE;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  push(change: CircuitChange): void {
    if (this.#isEnded) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#changes.push(change);
    else waiting.resolve({ done: false, value: change });
  }

  fail(error: unknown): void {
    if (this.#isEnded) return;
    const waiting = this.#waiting.shift();
    this.end();
    if (waiting === undefined) this.#failure = { error };
    else waiting.reject(error);
  }

  end(): void {
    this.#isEnded = true;
    this.#changes = [];
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<CircuitChange>> {
    const value = this.#changes.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}
