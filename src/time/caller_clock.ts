/** The caller's clock. */
export interface CallerClock {
  /** Its time, in epoch milliseconds. */
  now(): number;
  /** Converts a moment of the clock that decides into the caller's clock. 0, never, stays 0. */
  toCaller(time: number): number;
}
