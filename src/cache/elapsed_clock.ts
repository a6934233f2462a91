/**
 * The longest step of the time of day, in milliseconds, that is taken as it is. A longer one, and one
 * that goes back, is compared with the steady clock.
 */
const STEP_MS = 20;

/** The resolution of the clock, in milliseconds. */
export const RESOLUTION_MS = 1;

/**
 * Makes a clock that measures elapsed time, in milliseconds. It never goes back, and it counts the time
 * in which the machine was suspended, during which `performance.now()` stands still on some systems.
 *
 * Most of its readings cost one reading of the time of day, which is half of one of
 * `performance.now()`. A time of day that is set forward makes ages look longer. One that is set back
 * makes them look shorter by less than {@linkcode STEP_MS}.
 */
export function elapsedClock(
  steady: () => number = () => performance.now(),
  timeOfDay: () => number = () => Date.now(),
): () => number {
  let elapsed = 0;
  let lastTimeOfDay = timeOfDay();
  /** A moment of the steady clock, and what had elapsed by then. */
  let comparedAt = steady();
  let comparedElapsed = 0;
  return () => {
    const now = timeOfDay();
    const step = now - lastTimeOfDay;
    lastTimeOfDay = now;
    if (step >= 0 && step <= STEP_MS) return elapsed += step;
    const moment = steady();
    elapsed = Math.max(elapsed + Math.max(step, 0), comparedElapsed + moment - comparedAt);
    comparedAt = moment;
    comparedElapsed = elapsed;
    return elapsed;
  };
}
