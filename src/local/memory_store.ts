import { assertKey, assertState, compareKeys, cursorKey, isList, storedKey } from "../key.ts";
import { resolveListOptions } from "../list_options.ts";
import { resolveMemoryOptions } from "../options.ts";
import {
  type CircuitBreakerSnapshot,
  type CircuitBreakerStore,
  type CircuitListing,
  type CircuitState,
  type ListOptions,
  MAX_COUNT,
} from "../types.ts";

/** Options of {@linkcode InMemoryCircuitBreakerStore}. */
export interface InMemoryCircuitBreakerStoreOptions {
  /**
   * The clock, in epoch milliseconds.
   *
   * @default {Date.now}
   */
  now?: () => number;
}

/**
 * A store in this process's memory: the reference that `PostgresCircuitBreakerStore` is held to, for
 * tests and for a gateway of one instance. Nothing is shared and nothing outlives the process.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore();
 * await store.recordFailure("api");
 * const { failureCount } = await store.recordFailure("api");
 * assertEquals(failureCount, 2);
 * ```
 */
export class InMemoryCircuitBreakerStore implements CircuitBreakerStore, AsyncDisposable {
  readonly #circuits = new Map<string, CircuitBreakerSnapshot>();
  readonly #now: () => number;

  /**
   * Makes an empty store.
   *
   * @param options The clock to use.
   * @throws {TypeError} If an option is unknown or has a wrong type.
   */
  constructor(options: InMemoryCircuitBreakerStoreOptions = {}) {
    this.#now = resolveMemoryOptions(options).now ?? Date.now;
  }

  /**
   * The circuit's snapshot. Reading creates nothing.
   *
   * @param key Any string.
   * @returns A plain copy; closed with zeros for a circuit never seen before.
   */
  // deno-lint-ignore require-await
  async getState(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#read(key);
  }

  /**
   * Counts one success.
   *
   * @param key Any string.
   * @returns The snapshot that includes it.
   */
  recordSuccess(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#change("record success", key, (circuit) => {
      circuit.successCount = Math.min(circuit.successCount + 1, MAX_COUNT);
    });
  }

  /**
   * Counts one failure.
   *
   * @param key Any string.
   * @returns The snapshot that includes it.
   */
  recordFailure(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#change("record failure", key, (circuit) => {
      circuit.failureCount = Math.min(circuit.failureCount + 1, MAX_COUNT);
      circuit.lastFailureTime = this.#now();
    });
  }

  /**
   * Moves the circuit to a state. To the state it already has: nothing changes, so that a straggler
   * does not prolong an outage. `closed` zeroes both counters, `half-open` the successes.
   *
   * @param key Any string.
   * @param to The state to move to.
   * @returns The snapshot after it.
   */
  async transition(key: string, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    assertState("move circuit", "to", to);
    if (to === "closed" && !this.#circuits.has(key)) return this.#read(key);
    return await this.#change("move circuit", key, (circuit) => {
      if (circuit.state === to) return;
      circuit.state = to;
      circuit.lastStateChange = this.#now();
      if (to !== "open") circuit.successCount = 0;
      if (to === "closed") circuit.failureCount = 0;
    });
  }

  /**
   * Forgets the circuit.
   *
   * @param key Any string.
   */
  // deno-lint-ignore require-await
  async reset(key: string): Promise<void> {
    assertKey("reset circuit", key);
    this.#circuits.delete(key);
  }

  /**
   * Reads one circuit without any side effect.
   *
   * @param key Any string.
   * @returns A plain copy of its snapshot.
   */
  peek(key: string): Promise<CircuitBreakerSnapshot>;
  /**
   * Reads several circuits without any side effect.
   *
   * @param keys Any strings, in any order, repeated or not.
   * @returns Their snapshots in the order of the keys.
   */
  peek(keys: readonly string[]): Promise<CircuitBreakerSnapshot[]>;
  // deno-lint-ignore require-await
  async peek(
    keys: string | readonly string[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    return isList(keys) ? keys.map((key) => this.#read(key)) : this.#read(keys);
  }

  /**
   * Lists circuits in the order of their keys.
   *
   * @param options Which ones; all of the first 100 by default.
   * @returns Keys with snapshots.
   */
  async list(options: ListOptions = {}): Promise<CircuitListing[]> {
    const { state, after: cursor, limit } = resolveListOptions(options);
    const after = cursor === undefined ? undefined : await cursorKey(cursor);
    const circuits = await Promise.all(
      Array.from(this.#circuits, async ([key, circuit]) => ({
        key: await storedKey(key),
        ...circuit,
      })),
    );
    return circuits
      .filter((circuit) => state === undefined || circuit.state === state)
      .filter((circuit) => after === undefined || compareKeys(circuit.key, after) > 0)
      .sort((a, b) => compareKeys(a.key, b.key))
      .slice(0, limit);
  }

  /** Releases nothing, since memory is all there is. Calls that still arrive are served. */
  destroy(): void {}

  /** The same as {@linkcode InMemoryCircuitBreakerStore.destroy}, for symmetry. */
  async close(): Promise<void> {}

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read(key: string): CircuitBreakerSnapshot {
    assertKey("read circuit", key);
    const circuit = this.#circuits.get(key);
    return circuit === undefined ? freshCircuit() : { ...circuit };
  }

  // deno-lint-ignore require-await
  async #change(
    action: string,
    key: string,
    apply: (circuit: CircuitBreakerSnapshot) => void,
  ): Promise<CircuitBreakerSnapshot> {
    assertKey(action, key);
    const circuit = this.#circuits.get(key) ?? freshCircuit();
    apply(circuit);
    this.#circuits.set(key, circuit);
    return { ...circuit };
  }
}

function freshCircuit(): CircuitBreakerSnapshot {
  return {
    state: "closed",
    failureCount: 0,
    successCount: 0,
    lastFailureTime: 0,
    lastStateChange: 0,
  };
}
