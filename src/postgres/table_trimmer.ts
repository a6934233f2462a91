import type { Circuit } from "../circuit.ts";
import type { Tally } from "./statements/record.ts";

/** The share of `maxCircuits` that an instance adds before it trims the table. */
const SHARE = 10;

/**
 * Trims the table in the background when this instance alone has made it grow by a tenth of
 * `maxCircuits`.
 */
export class TableTrimmer {
  readonly #maxCircuits: number;
  readonly #trim: () => Promise<unknown>;
  /** Circuits added since the table was last trimmed. */
  #added = 0;
  #isTrimming = false;

  constructor(maxCircuits: number, trim: () => Promise<unknown>) {
    this.#maxCircuits = maxCircuits;
    this.#trim = trim;
  }

  /** Results were recorded, and these are the circuits with them. */
  onRecorded(tallies: readonly Tally[], circuits: readonly Circuit[]): void {
    const byKey = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    for (const { key, failures, successes } of tallies) {
      const circuit = byKey.get(key);
      // A circuit with no other counts than those of this statement is new.
      if (
        circuit?.lastStateChange === 0 && circuit.failureCount === failures &&
        circuit.successCount === successes
      ) {
        this.#added++;
      }
    }
    this.onAdded(0);
  }

  /** A statement has made new rows. */
  onAdded(rows: number): void {
    this.#added += rows;
    if (!this.#isTrimming) void this.#trimWhileGrowing();
  }

  async #trimWhileGrowing(): Promise<void> {
    this.#isTrimming = true;
    try {
      while (this.#added >= this.#maxCircuits / SHARE) {
        this.#added = 0;
        await this.#trim();
      }
    } catch {
      // The next tenth tries again. The dispatcher has reported the error.
    }
    this.#isTrimming = false;
  }
}
