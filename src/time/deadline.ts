import { StoreTimeoutError } from "../errors.ts";

/** A timer that comes later than this, in milliseconds, was held up by the process itself. */
const HELD_UP_MS = 20;

/**
 * How long after a deadline an answer is given up, in milliseconds. Whoever was busy hears its timers
 * before the answers that have long arrived; whoever was so busy that a timer came late may not even
 * have sent what it asks.
 */
export function lastWaitMs(dueAt: number): number {
  return performance.now() - dueAt > HELD_UP_MS ? 50 : 1;
}

/**
 * Waits for something until so many milliseconds after a moment of `performance.now()`, now by
 * default. What it becomes later is of no interest, and must not surface as an unhandled rejection.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  action: string,
  work: Promise<T>,
  begunAt: number = performance.now(),
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const dueAt = begunAt + timeoutMs;
  const late = new Promise<never>((_, reject) => {
    const giveUp = () =>
      reject(new StoreTimeoutError(`Cannot ${action}: no answer in ${timeoutMs} ms`));
    timer = setTimeout(() => {
      timer = setTimeout(giveUp, lastWaitMs(dueAt));
    }, Math.max(0, dueAt - performance.now()));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
