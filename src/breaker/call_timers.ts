import { startBackgroundTimer } from "../time/background_timer.ts";

/** How long the process may still read answers after a deadline, in milliseconds. */
const LAST_READ_MS = 1;

/** A call that must end in time. It is an element of a list, so that it leaves the list at once. */
export interface TimedCall {
  /** When it must have ended, on the clock of `performance.now()`. */
  dueAt: number;
  previous: TimedCall | undefined;
  next: TimedCall | undefined;
  /** Ends it. Called at most once, and only while it is in the list. */
  expire(): void;
}

/**
 * Ends calls that take longer than a time that is the same for all. One timer serves all calls, and does
 * not keep the process alive.
 *
 * States: at rest (the timer is stopped); waiting (the timer runs, for the first call or an earlier one
 * that has ended); last read.
 * - `add`: at rest -> waiting.
 * - The timer fires, no call is due: waiting -> waiting for the first call, or at rest.
 * - The timer fires, calls are due: waiting -> last read. The process reads the answers that it has, in
 *   case its event loop was blocked. Calls that are still due then end.
 */
export class CallTimers {
  readonly timeoutMs: number;
  #first: TimedCall | undefined;
  #last: TimedCall | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Adds a call. `remove` it when it ends by itself. */
  add(call: TimedCall, now: number): void {
    call.dueAt = now + this.timeoutMs;
    call.previous = this.#last;
    call.next = undefined;
    if (this.#last === undefined) this.#first = call;
    else this.#last.next = call;
    this.#last = call;
    this.#timer ??= startBackgroundTimer(this.#look, this.timeoutMs);
  }

  /** Removes a call that is in the list. */
  remove(call: TimedCall): void {
    const { previous, next } = call;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    call.previous = call.next = undefined;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const first = this.#first;
    if (first === undefined) return;
    const waitMs = first.dueAt - performance.now();
    this.#timer = waitMs > 0
      ? startBackgroundTimer(this.#look, Math.ceil(waitMs))
      : startBackgroundTimer(this.#expire, LAST_READ_MS);
  };

  readonly #expire = (): void => {
    const now = performance.now();
    for (let call = this.#first; call !== undefined && call.dueAt <= now; call = this.#first) {
      this.remove(call);
      call.expire();
    }
    this.#look();
  };
}
