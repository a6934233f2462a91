import { keepAlive } from "./background_timer.ts";

/**
 * A timer that is wanted most of the time and fires almost never: a deadline. Setting and clearing
 * one for each statement costs more than the rest of a call. So a timer that is not wanted goes on
 * without keeping the process alive, and does nothing when it fires.
 *
 * States: stopped; running and wanted; running and not wanted.
 * - `wakeBy` wants it: a running one keeps its time where that is soon enough, others are set.
 * - `rest` stops wanting it. Where a runtime treats all timers alike, the timer stops.
 * - `stop` stops it.
 * - Firing stops it, and calls back where it is wanted.
 */
export class IdleTimer {
  readonly #run: (dueAt: number) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Infinity;
  #isWanted = false;

  /** `run` is given the moment of `performance.now()` at which it should have been called. */
  constructor(run: (dueAt: number) => void) {
    this.#run = run;
  }

  /** When it should fire, on the clock of `performance.now()`; `Infinity` where it does not run. */
  get dueAt(): number {
    return this.#timer === undefined ? Infinity : this.#dueAt;
  }

  /** Wants it to fire by a moment of `performance.now()`. One that runs already may fire sooner. */
  wakeBy(moment: number): void {
    if (this.#timer !== undefined && this.#dueAt <= moment) {
      if (!this.#isWanted) keepAlive(this.#timer, true);
      this.#isWanted = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#isWanted = true;
    const now = performance.now();
    this.#dueAt = Math.max(moment, now);
    this.#timer = setTimeout(() => this.#fire(), this.#dueAt - now);
  }

  /** Wants nothing for now. */
  rest(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    if (this.#timer !== undefined && !keepAlive(this.#timer, false)) this.stop();
  }

  /** Stops it. */
  stop(): void {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #fire(): void {
    this.#timer = undefined;
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#run(this.#dueAt);
  }
}
