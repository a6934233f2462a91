import type { InMemoryCircuitBreakerStoreOptions } from "./options/store_options.ts";
import { resolveOptions } from "./options/resolve.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitListing,
  CircuitState,
  ForceOptions,
  ListOptions,
  PruneOptions,
} from "./types.ts";
import { MemoryCircuits } from "./rules/memory_circuits.ts";
import { Admission } from "./admission/admission.ts";

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
  readonly #service: Admission;

  /**
   * Makes an empty store.
   *
   * @param options The same as for the store on PostgreSQL.
   * @throws {TypeError} If an option is unknown or has a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  constructor(options: InMemoryCircuitBreakerStoreOptions = {}) {
    const { now = () => Date.now(), rules } = resolveOptions(options);
    this.#service = new Admission(new MemoryCircuits(rules, now), rules, {
      now,
      toCaller: (time) => time,
    });
  }

  /**
   * The circuit's snapshot. A circuit without a row is closed with zeros, and no row is created.
   *
   * With `resetTimeoutMs`, this is where probes are admitted: when an open circuit is due, one
   * caller in the whole fleet gets `half-open` (`halfOpenMax` callers in each round) and is expected
   * to report with `transition`; everyone else gets `open`, with a `lastStateChange` that makes the
   * policy refuse the request and name the time until the lease ends.
   *
   * @param key Any string.
   * @returns A plain copy.
   * @throws {TypeError} If the key is not a string.
   */
  getState(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#service.getState(key);
  }

  /**
   * Counts one success.
   *
   * @param key Any string.
   * @returns The snapshot that includes it.
   * @throws {TypeError} If the key is not a string.
   */
  recordSuccess(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#service.recordSuccess(key);
  }

  /**
   * Counts one failure.
   *
   * @param key Any string.
   * @returns The snapshot that includes it. With `failureWindowMs`, its `failureCount` is that of
   * the window.
   * @throws {TypeError} If the key is not a string.
   */
  recordFailure(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#service.recordFailure(key);
  }

  /**
   * Moves the circuit to a state. To the state it already has: nothing changes, so that a straggler
   * does not prolong an outage. `closed` zeroes both counters, `half-open` the successes.
   *
   * With `resetTimeoutMs`, the result of a probe (`closed` or `open` from an instance that was
   * admitted one) applies only while its round lasts, and `open` from anyone else only to a closed
   * circuit. While an operator forces a state, nothing moves.
   *
   * @param key Any string.
   * @param to The state to move to.
   * @returns The snapshot after it, whether or not it moved.
   * @throws {TypeError} If the key is not a string or the state is not a state.
   */
  transition(key: string, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    return this.#service.transition(key, to);
  }

  /**
   * Forgets the circuit, for every instance, and what an operator forced on it. The result of a
   * probe that is under way is then ignored.
   *
   * @param key Any string.
   * @throws {TypeError} If the key is not a string.
   */
  reset(key: string): Promise<void> {
    return this.#service.reset(key);
  }

  /**
   * Reads one circuit without any side effect, for dashboards and health checks: it never admits a
   * probe, and a circuit with one under way is `half-open` for everyone who peeks.
   *
   * @param key Any string.
   * @returns A plain copy of its snapshot.
   * @throws {TypeError} If the key is not a string.
   */
  peek(key: string): Promise<CircuitBreakerSnapshot>;
  /**
   * Reads several circuits without any side effect.
   *
   * @param keys Any strings, in any order, repeated or not.
   * @returns Their snapshots in the order of the keys.
   * @throws {TypeError} If one of the keys is not a string.
   */
  peek(keys: readonly string[]): Promise<CircuitBreakerSnapshot[]>;
  peek(
    keys: string | readonly string[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    return this.#service.peek(keys);
  }

  /**
   * Lists circuits in the order of their keys, by UTF-8 bytes. To page through all, pass the last
   * key of a page as the next one's `after`.
   *
   * @param options Which ones; all of the first 100 by default.
   * @returns Keys, in the form in which they are stored, with snapshots and what is forced.
   * @throws {TypeError} If an option is unknown or of a wrong type.
   * @throws {RangeError} If the limit is out of range.
   */
  list(options: ListOptions = {}): Promise<CircuitListing[]> {
    return this.#service.list(options);
  }

  /**
   * Opens the circuit for everyone and keeps it open, whatever probes and policies report: for an
   * operator who takes an upstream out. It ends after `forMs` by itself, or with `release`.
   *
   * @param key Any string.
   * @param options Why, and for how long; until `release` by default.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is not a string, or an option is unknown or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  forceOpen(key: string, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#service.force(key, "open", options);
  }

  /**
   * Closes the circuit for everyone and keeps it closed, whatever fails: for an operator who knows
   * better. It ends after `forMs` by itself, or with `release`.
   *
   * @param key Any string.
   * @param options Why, and for how long; until `release` by default.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is not a string, or an option is unknown or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  forceClosed(key: string, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#service.force(key, "closed", options);
  }

  /**
   * Ends what `forceOpen` or `forceClosed` began: the circuit goes on in the state it had before.
   *
   * @param key Any string.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is not a string.
   */
  release(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#service.release(key);
  }

  /**
   * Removes closed circuits that nobody has reported to for a while: what random request paths leave
   * behind. Open, half-open and forced ones stay. Safe from any number of instances at once.
   *
   * @param options For how long idle, and how many at most.
   * @returns How many were removed; 0 when nothing is left to remove.
   * @throws {TypeError} If an option is unknown or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  prune(options: PruneOptions): Promise<number> {
    return this.#service.prune(options);
  }

  /** Releases nothing, since memory is all there is. Calls that still arrive are served. */
  destroy(): void {}

  /** The same as {@linkcode InMemoryCircuitBreakerStore.destroy}, for symmetry. */
  async close(): Promise<void> {}

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
