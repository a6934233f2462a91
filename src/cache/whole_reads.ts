import type { Deadlines } from "../time/deadlines.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import type { CacheEntries } from "./entries.ts";
import type { Origin } from "./origin.ts";

/** How many circuits one statement reads. */
const PIECE = 2000;

/** One statement in this many intervals. */
const EVERY_INTERVALS = 10;

/**
 * Reads the circuits in regular use whole, all of them within ten intervals where one statement is
 * enough. The log does not say how counters grow, nor what other programs change.
 *
 * States: waiting (for the tenth interval); due.
 * - `passInterval`: waiting -> due, with the next piece of the circuits. After the last piece it
 *   begins again with those that are in regular use then.
 * - `readDue`: due -> waiting.
 */
export class WholeReads {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  readonly #deadlines: Deadlines;
  #intervals = 0;
  /** What has yet to be read. */
  #queue: CachedCircuit[] = [];
  #due: CachedCircuit[] = [];

  constructor(origin: Origin, entries: CacheEntries, deadlines: Deadlines) {
    this.#origin = origin;
    this.#entries = entries;
    this.#deadlines = deadlines;
  }

  /** An interval has passed. `now` is of the clock that measures ages. */
  passInterval(now: number): void {
    if (++this.#intervals < EVERY_INTERVALS) return;
    this.#intervals = 0;
    if (this.#queue.length === 0) {
      this.#queue = this.#entries.all().filter((entry) => entry.isRegular || entry.hasExpired(now));
    }
    this.#due = this.#queue.splice(0, PIECE);
  }

  /** Reads the piece that is due. Never fails. */
  async readDue(): Promise<void> {
    const due = this.#due.filter((entry) => this.#entries.get(entry.key) === entry);
    this.#due = [];
    await this.read(due);
    for (const entry of due) entry.wasReadWhole();
  }

  /** Reads circuits. Never fails. */
  async read(entries: readonly CachedCircuit[]): Promise<void> {
    for (let from = 0; from < entries.length; from += PIECE) {
      await this.#readPiece(entries.slice(from, from + PIECE));
    }
  }

  async #readPiece(entries: readonly CachedCircuit[]): Promise<void> {
    const asked = this.#entries.askAny();
    const keys = entries.map(({ key }) => key);
    try {
      if (this.#origin.isOut) return;
      const circuits = await this.#origin.readKnown(this.#deadlines.begin(), keys);
      const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
      for (const entry of entries) this.#entries.learnRead(entry, found.get(entry.key), asked);
    } catch {
      // The statement was reported. The circuits stay as they are known.
    }
  }
}
