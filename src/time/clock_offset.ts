/**
 * Where the database's clock stands against the caller's.
 *
 * The database decides when things happen; the caller compares with its own `Date.now()`. Every
 * statement returns the server's time, and from (sent, server, received) the true offset, caller
 * minus server, lies in `[sent - server, received - server]`. One offset is kept, starting at 0,
 * and moved only when a sample proves it wrong: equal clocks never jitter, and two reads of an
 * unchanged circuit return equal numbers.
 */
export class ClockOffset {
  #offset = 0;

  /** Caller minus server, in milliseconds, as far as it is known. */
  get value(): number {
    return this.#offset;
  }

  /** Learns from one statement. All three are epoch milliseconds, each by its own clock. */
  observe(sent: number, server: number, received: number): void {
    // The caller's clock stepped back under way: the interval says nothing.
    if (received < sent) return;
    const lowest = sent - server;
    const highest = received - server;
    if (this.#offset < lowest) this.#offset = lowest;
    else if (this.#offset > highest) this.#offset = highest;
  }

  /** A moment of the server's clock as the caller's clock shows it; 0, never, stays 0. */
  toCaller(server: number): number {
    return server === 0 ? 0 : server + this.#offset;
  }
}
