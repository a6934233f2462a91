/**
 * The difference between the caller's clock and the database's.
 *
 * The database decides when things happen, and the caller compares with its own `Date.now()`. Every
 * statement returns the server's time. The true offset, caller minus server, then lies in
 * `[sent - server, received - server]`.
 *
 * State: one offset, which is 0 at first.
 * - A sample whose interval contains the offset: the offset stays. So it does not change where the
 *   clocks are equal, and two reads of an unchanged circuit return equal numbers.
 * - A sample whose interval does not contain it: the offset moves to the nearer end of the
 *   interval.
 * - A sample during which the caller's clock stepped back: the offset stays.
 */
export class ClockOffset {
  #offset = 0;

  /** Caller minus server, in milliseconds, as far as it is known. */
  get value(): number {
    return this.#offset;
  }

  /** Takes the sample of one statement. All three are epoch milliseconds, each by its own clock. */
  observe(sent: number, server: number, received: number): void {
    // The caller's clock stepped back meanwhile: the interval is meaningless.
    if (received < sent) return;
    const lowest = sent - server;
    const highest = received - server;
    if (this.#offset < lowest) this.#offset = lowest;
    else if (this.#offset > highest) this.#offset = highest;
  }

  /** Converts a moment of the server's clock into the caller's clock. 0, never, stays 0. */
  toCaller(server: number): number {
    return server === 0 ? 0 : server + this.#offset;
  }
}
