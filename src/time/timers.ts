import { startBackgroundTimer } from "./background_timer.ts";

/** How work in the background is begun, and the clock that it goes by. */
export interface Timers {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Calls a function later. The promise that it returns is that of its work, and never rejects. */
  start(run: () => unknown, delayMs: number): unknown;
  stop(timer: unknown): void;
  /** Begins work now. Its promise never rejects. */
  run(work: () => Promise<unknown>): void;
  /** Waits within a call. */
  pause(ms: number): Promise<void>;
  /**
   * Whether a call may wait for work that another call has begun. Where a runtime ends work together
   * with its request, such work may never end.
   */
  readonly canJoin: boolean;
}

/** Timers of a process. They do not keep it alive. */
export const BACKGROUND_TIMERS: Timers = {
  now: () => performance.now(),
  start: (run, delayMs) => startBackgroundTimer(() => void run(), delayMs),
  stop: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  run: (work) => void work(),
  pause: (ms) => new Promise((resolve) => void startBackgroundTimer(resolve, ms)),
  canJoin: true,
};
