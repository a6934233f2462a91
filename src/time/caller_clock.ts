/** The caller's clock. */
export interface CallerClock {
  /** Its time, in epoch milliseconds. */
  now(): number;
  /** A moment of the clock that decides as the caller's clock shows it; 0, never, stays 0. */
  toCaller(time: number): number;
}
