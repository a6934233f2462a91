import type { TimedCall, TimeLimit } from "./call_timers.ts";

/**
 * Ends calls that take longer than a time, in a runtime in which no timer outlives its request: each call
 * has a timer of its own, which belongs to the request of the call.
 */
export class RequestCallTimers implements TimeLimit {
  readonly timeoutMs: number;
  /** A call whose request was cancelled never ends. Nothing is kept of it. */
  readonly #timers = new WeakMap<TimedCall, ReturnType<typeof setTimeout>>();

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Adds a call. `remove` it when it ends by itself. */
  add(call: TimedCall): void {
    this.#timers.set(call, setTimeout(() => call.expire(), this.timeoutMs));
  }

  /** Removes a call that was added. */
  remove(call: TimedCall): void {
    clearTimeout(this.#timers.get(call));
  }
}
