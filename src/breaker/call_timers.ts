import { startBackgroundTimer } from "../time/background_timer.ts";
import { LAST_READ_MS } from "../time/end_within.ts";

/** A call that must end in time. It is an element of a ring, so that it leaves the ring at once. */
export interface TimedCall {
  /** When it must have ended, on the clock of `performance.now()`; `Infinity` until it is added. */
  dueAt: number;
  /** Its neighbours: itself while it is in no ring. */
  previous: TimedCall;
  next: TimedCall;
  /** Ends it. Called at most once, and only while it is in the ring. */
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
  /** Where the ring begins and ends: the first call is next to it. It is never due. */
  readonly #ends: TimedCall;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param timeoutMs How long a call may take.
   * @param ends A call that is never made, of the same class as the others. V8 forgets the code that it
   * has compiled for objects of a class when it collects garbage while none is left. With this one it
   * does not, and the calls after a collection are as fast as those before it.
   */
  constructor(timeoutMs: number, ends: TimedCall) {
    this.timeoutMs = timeoutMs;
    this.#ends = ends;
  }

  /** Adds a call. `remove` it when it ends by itself. */
  add(call: TimedCall, now: number): void {
    const ends = this.#ends;
    const last = ends.previous;
    call.dueAt = now + this.timeoutMs;
    call.previous = last;
    call.next = ends;
    last.next = ends.previous = call;
    this.#timer ??= startBackgroundTimer(this.#look, this.timeoutMs);
  }

  /** Removes a call. It keeps no other call in memory after that. */
  remove(call: TimedCall): void {
    const { previous, next } = call;
    previous.next = next;
    next.previous = previous;
    call.previous = call.next = call;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const first = this.#ends.next;
    if (first === this.#ends) return;
    const waitMs = first.dueAt - performance.now();
    this.#timer = waitMs > 0
      ? startBackgroundTimer(this.#look, Math.ceil(waitMs))
      : startBackgroundTimer(this.#expire, LAST_READ_MS);
  };

  readonly #expire = (): void => {
    const now = performance.now();
    for (let call = this.#ends.next; call.dueAt <= now; call = this.#ends.next) {
      this.remove(call);
      call.expire();
    }
    this.#look();
  };
}

/** Ends calls that take too long. */
export type TimeLimit = Pick<CallTimers, "timeoutMs" | "add" | "remove">;
