import type { Timers } from "../time/timers.ts";

/** Work that is due at a time, or that is under way. */
interface Task {
  readonly run: () => unknown;
  dueAt: number;
  /** How often it was begun. */
  begun: number;
}

/** What timers of requests need. */
export interface RequestTimersOptions {
  /** After how many milliseconds work that has not ended is taken for dead. */
  deadAfterMs: number;
  /** Keeps the request alive until work has ended. */
  keep: (work: Promise<unknown>) => void;
  /** A clock that only goes forward. By default that of `performance.now()`. */
  now?: () => number;
}

/**
 * Timers for a runtime in which no timer outlives its request. They are only times: the next call begins
 * what is due, as work of its own request.
 *
 * States of a task: waiting; under way; ended.
 * - A call begins, and the time is over: waiting -> under way.
 * - The work ends: under way -> ended.
 * - A call begins, and the work has not ended for `deadAfterMs`: it is begun once more. Its request was
 *   cancelled, so its promise never settles. Who starts such work allows for a first one that is only
 *   slow, because a runtime can stand still for as long.
 * - `stop`: waiting -> ended. `end`: all end, and none begins any more.
 */
export class RequestTimers implements Timers {
  readonly canJoin = false;
  readonly now: () => number;
  readonly #options: RequestTimersOptions;
  readonly #tasks = new Set<Task>();
  #isEnded = false;

  constructor(options: RequestTimersOptions) {
    this.#options = options;
    this.now = options.now ?? (() => performance.now());
  }

  start(run: () => unknown, delayMs: number): unknown {
    const task = { run, dueAt: this.now() + delayMs, begun: 0 };
    if (!this.#isEnded) this.#tasks.add(task);
    return task;
  }

  stop(timer: unknown): void {
    this.#tasks.delete(timer as Task);
  }

  run(work: () => Promise<unknown>): void {
    if (!this.#isEnded) this.#begin({ run: work, dueAt: 0, begun: 0 });
  }

  /** Waits on a timer of this request, which keeps the request alive. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void setTimeout(resolve, ms));
  }

  /** A call begins: begins what is due. */
  onCall(): void {
    if (this.#tasks.size === 0) return;
    const now = this.now();
    // What is begun here is due later, also where it comes again in this loop.
    for (const task of this.#tasks) if (task.dueAt <= now) this.#begin(task);
  }

  /** Begins nothing any more. */
  end(): void {
    this.#isEnded = true;
    this.#tasks.clear();
  }

  #begin(task: Task): void {
    task.dueAt = this.now() + this.#options.deadAfterMs;
    const begun = ++task.begun;
    this.#tasks.add(task);
    this.#options.keep(
      Promise.resolve(task.run()).finally(() => {
        if (task.begun === begun) this.#tasks.delete(task);
      }),
    );
  }
}
