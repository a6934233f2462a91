import type {
  Circuit,
  Circuits,
  ClaimResult,
  Deferred,
  Refreshed,
  Round,
} from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { keepLast } from "../keep_last.ts";
import { MemoryCircuits } from "../rules/memory_circuits.ts";

/** How many circuits an instance remembers: those used last. */
const MAX_REMEMBERED = 10_000;

/**
 * The circuits of one instance while the database is out: each begins as the instance last knew it,
 * and all are dropped when the database is back, which has gone on without them.
 */
export class LocalCircuits implements Circuits {
  readonly #rules: CircuitRules;
  readonly #now: () => number;
  /** In the order of use, the least recent first. */
  readonly #remembered = new Map<string, Circuit>();
  #local: MemoryCircuits;

  /** `now` is the clock that decides, as far as this instance knows it. */
  constructor(rules: CircuitRules, now: () => number) {
    this.#rules = rules;
    this.#now = now;
    this.#local = this.#fresh();
  }

  /** Notes a circuit as the database has it; `undefined` for one that it does not keep. */
  remember(key: string, circuit: Circuit | undefined): void {
    if (circuit === undefined) this.#remembered.delete(key);
    else keepLast(this.#remembered, key, circuit, MAX_REMEMBERED);
  }

  /** Drops what was done locally: each circuit begins again as the instance last knew it. */
  restart(): void {
    this.#local = this.#fresh();
  }

  #fresh(): MemoryCircuits {
    return new MemoryCircuits(this.#rules, this.#now, {
      known: this.#remembered,
      capacity: MAX_REMEMBERED,
    });
  }

  read(key: string): Promise<Circuit | undefined> {
    return this.#local.read(key);
  }

  readMany(keys: readonly string[]): Promise<Circuit[]> {
    return this.#local.readMany(keys);
  }

  recordSuccess(key: string): Promise<Circuit> {
    return this.#local.recordSuccess(key);
  }

  recordFailure(key: string): Promise<Circuit> {
    return this.#local.recordFailure(key);
  }

  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#local.transition(key, to);
  }

  claim(key: string): Promise<ClaimResult | undefined> {
    return this.#local.claim(key);
  }

  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    return this.#local.settle(key, to, round);
  }

  force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    return this.#local.force(key, force);
  }

  reset(key: string): Promise<void> {
    return this.#local.reset(key);
  }

  list(options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#local.list(options);
  }

  prune(idleMs: number, limit: number): Promise<number> {
    return this.#local.prune(idleMs, limit);
  }

  refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    return this.#local.refresh(keys, deferred);
  }

  check(): Promise<void> {
    return this.#local.check();
  }
}
