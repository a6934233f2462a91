import type { CallDeadlines } from "../time/deadlines.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import type { CacheEntries } from "./entries.ts";
import type { Origin } from "./origin.ts";

/** How many circuits one statement reads. */
const PIECE = 2000;

/** Circuits are read whole in one of this many intervals. */
const EVERY_INTERVALS = 10;

/** How many circuits in regular use are read whole then: a number that does not grow with theirs. */
const SHARE = 128;

/**
 * Reads circuits whole in every tenth interval. The log does not say how counters grow, nor that another
 * program has removed a row or changed more of it than its state.
 *
 * - Those that are known in another state than closed, or forced: all of them. They are few, and a
 *   wrong one refuses calls.
 * - Of all in regular use the next share, in turns, so that the cost does not grow with their number.
 *
 * States: waiting (for the tenth interval); due.
 * - `passInterval`: waiting -> due. After the last share it begins again with those that are in regular
 *   use then.
 * - `readDue`: due -> waiting.
 */
export class WholeReads {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  readonly #deadlines: CallDeadlines;
  #intervals = 0;
  /** The circuits in regular use that have yet to be read. */
  #queue: CachedCircuit[] = [];
  #due: CachedCircuit[] = [];

  constructor(origin: Origin, entries: CacheEntries, deadlines: CallDeadlines) {
    this.#origin = origin;
    this.#entries = entries;
    this.#deadlines = deadlines;
  }

  /** An interval has passed. */
  passInterval(): void {
    if (++this.#intervals < EVERY_INTERVALS) return;
    this.#intervals = 0;
    const all = this.#entries.all();
    if (this.#queue.length === 0) this.#queue = all.filter(({ isRegular }) => isRegular);
    const share = this.#queue.splice(0, SHARE);
    this.#due = [...new Set([...all.filter(({ isUnsettled }) => isUnsettled), ...share])];
  }

  /** Reads what is due. Never fails. */
  async readDue(): Promise<void> {
    const due = this.#due.filter((entry) => this.#entries.get(entry.key) === entry);
    this.#due = [];
    await this.read(due);
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
