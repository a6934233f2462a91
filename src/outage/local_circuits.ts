import type { Circuit } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { MemoryCircuits } from "../rules/memory_circuits.ts";

/** How many circuits an instance remembers: those used last. */
const MAX_REMEMBERED = 10_000;

/**
 * The circuits of one instance while the database is out. Each begins as the instance last knew it.
 * All are cleared when the database is back: what happened locally never overwrites it.
 */
export class LocalCircuits extends MemoryCircuits {
  readonly #remembered: Map<string, Circuit>;

  /** `now` is the clock that decides, as far as this instance knows it. */
  constructor(rules: CircuitRules, now: () => number) {
    // In the order of use, the least recent first.
    const remembered = new Map<string, Circuit>();
    super(rules, now, "local", { known: remembered, capacity: MAX_REMEMBERED });
    this.#remembered = remembered;
  }

  /** Notes a circuit as the database has it; `undefined` for one without a row. */
  remember(key: string, circuit: Circuit | undefined): void {
    if (circuit === undefined) this.#remembered.delete(key);
    else keepLast(this.#remembered, key, circuit, MAX_REMEMBERED);
  }

  /** Notes a circuit as the database has it, if this instance uses it. */
  renew(circuit: Circuit): void {
    if (this.#remembered.has(circuit.key)) this.#remembered.set(circuit.key, circuit);
  }
}
