import type { InMemoryCircuitBreakerStoreOptions } from "./options/store_options.ts";
import { resolveOptions } from "./options/resolve.ts";
import type { CircuitListing } from "./listing_types.ts";
import type {
  ActOptions,
  CircuitChange,
  ForceOptions,
  HistoryOptions,
  ListOptions,
  PruneOptions,
  WatchOptions,
} from "./operator_types.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitState,
  ResultOptions,
} from "./types.ts";
import type { AcquireOptions, Permit } from "./permit.ts";
import { History } from "./feed/history.ts";
import { Watches } from "./feed/watch.ts";
import type { OwnChange } from "./ports.ts";
import { MemoryCircuits } from "./rules/memory_circuits.ts";
import { MemoryLog } from "./rules/memory_log.ts";
import { ownRulesOf } from "./rules/voting.ts";
import { Admission } from "./admission/admission.ts";
import { makeObservable, NOTHING_WAITS, Observation } from "./metrics/observation.ts";
import { observed, ObservedCircuits } from "./admission/observed_circuits.ts";
import { type CircuitKey, isList } from "./key.ts";
import { provideQuickCalls } from "./quick_calls.ts";
import { IMMEDIATE_CALL } from "./time/call.ts";

/** How many changes the log keeps by default. */
const DEFAULT_ROWS = 1000;

/**
 * A store in this process's memory, for tests and for a gateway of one instance. It is the
 * reference for the behaviour of `PostgresCircuitBreakerStore`. No other process shares its
 * circuits, and they end with the process.
 *
 * It takes the same options. It checks and ignores those that only a database needs: `table`,
 * `timeoutMs`, `onOutage`, `onOutageChange`, `onError`, `durability`, `pruneIdleMs`, `maxCircuits`,
 * `maxStalenessMs`, `countWithinMs` and `waitUntil`. Its log keeps the last 1000 changes by default.
 * With `quorum` it has no votes: it opens circuits as an instance of a fleet opens them for itself.
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
  readonly #admission: Admission;
  readonly #history: History;
  readonly #watches: Watches;

  /**
   * Makes an empty store.
   *
   * @param options The same as for the store on PostgreSQL.
   * @throws {TypeError} If an option is misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  constructor(options: InMemoryCircuitBreakerStoreOptions = {}) {
    const resolved = resolveOptions(options);
    const { now = () => Date.now(), rules, historyMs } = resolved;
    let label = resolved.instanceId;
    const historyRows = options.historyRows === undefined ? DEFAULT_ROWS : resolved.historyRows;
    const log = new MemoryLog({ historyMs, historyRows }, now);
    // One instance reaches no quorum. It judges alone, as each instance of a fleet does for itself.
    const judged = rules.quorum === undefined ? rules : ownRulesOf(rules);
    const observation = new Observation(NOTHING_WAITS);
    makeObservable(this, observation);
    const onLogged = (change: OwnChange) => observation.observer?.onChange?.(change);
    const circuits = new MemoryCircuits(judged, now, "local", undefined, {
      log,
      onLogged,
      // Drawn when it is needed: some runtimes refuse random numbers while a module is loaded.
      get actor() {
        return label ??= crypto.randomUUID();
      },
    });
    const clock = { now, toCaller: (time: number) => time };
    const begin = () => IMMEDIATE_CALL;
    const feed = { canListen: true, subscribe: (listener: () => void) => log.subscribe(listener) };
    this.#admission = new Admission({
      ...resolved.isObserving
        ? observed(new ObservedCircuits(circuits, rules, circuits), rules)
        : { circuits, rules, quick: circuits },
      clock,
      begin,
      onRefused: ({ key }) => circuits.countRefused(key),
      observed: observation,
    });
    provideQuickCalls(this, this.#admission, resolved, InMemoryCircuitBreakerStore.prototype);
    this.#history = new History({ log: circuits, begin, clock });
    this.#watches = new Watches({
      log: circuits,
      begin,
      feed,
      clock,
      maxStalenessMs: 0,
      isImmediate: true,
    });
  }

  /**
   * Returns the circuit's snapshot. A circuit without a row is closed with zeros, and reading it
   * makes no row.
   *
   * With `resetTimeoutMs`, this method admits probes. When an open circuit is due, `halfOpenMax`
   * callers in the whole fleet get `half-open` in each round, and report the result of their probe
   * with `transition`. Every other caller gets `open`. The `lastStateChange` of that snapshot makes
   * the policy refuse the request, and name the time until the lease ends.
   *
   * @param key Any string, or a listed circuit.
   * @returns A plain copy: changing it changes nothing else.
   * @throws {TypeError} If the key is neither a string nor a listed circuit.
   */
  getState(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    return this.#admission.getState(key);
  }

  /**
   * Asks for a permit for one call, by the same rules as `getState`. Both may be used on one circuit.
   * Without `resetTimeoutMs` an open circuit refuses until something else moves it.
   *
   * @param key Any string, or a listed circuit.
   * @param options A signal that ends a probe.
   * @returns The permit, which takes the result.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is wrong.
   */
  acquire(key: CircuitKey, options?: AcquireOptions): Promise<Permit> {
    return this.#admission.acquire(key, options);
  }

  /**
   * Counts one success. With rules of the store's own, it opens the circuit where this result makes it due.
   *
   * @param key Any string, or a listed circuit.
   * @param options How long the call took.
   * @returns The snapshot that includes it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is wrong.
   * @throws {RangeError} If `durationMs` is below 0.
   */
  recordSuccess(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    return this.#admission.recordSuccess(key, options);
  }

  /**
   * Counts one failure. With rules of the store's own, it opens the circuit where this result makes it due.
   *
   * @param key Any string, or a listed circuit.
   * @param options How long the call took.
   * @returns The snapshot that includes it. With `failureWindowMs`, its `failureCount` is that of
   * the window.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is wrong.
   * @throws {RangeError} If `durationMs` is below 0.
   */
  recordFailure(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    return this.#admission.recordFailure(key, options);
  }

  /**
   * Moves the circuit to a state. A move to `closed` zeroes both counters, also of a circuit that
   * is closed already. A move to `half-open` zeroes the successes. An open circuit stays as it is
   * when it is moved to `open`, so that a late caller does not prolong that state.
   *
   * With `resetTimeoutMs`, a move to `closed` or `open` is the result of a probe, where this
   * instance was admitted one. It applies only while the round of that probe lasts. A move to
   * `open` by any other instance applies only to a closed circuit; with `trip: "store"`, to one that is
   * due to open. While an operator forces a state, no move applies.
   *
   * @param key Any string, or a listed circuit.
   * @param to The state to move to.
   * @returns The snapshot after it, whether or not it moved.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or the state is
   * unknown.
   */
  transition(key: CircuitKey, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    return this.#admission.transition(key, to);
  }

  /**
   * Forgets the circuit for every instance, and the state that an operator forced on it: it is closed
   * with zeros, and `list` leaves it out. The store then ignores the result of a probe that is under
   * way. The log keeps its changes. Its versions go on from there, so that they never come back.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, and who does it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is misspelt or
   * of a wrong type.
   * @throws {RangeError} If an option is too long.
   */
  reset(key: CircuitKey, options: ActOptions = {}): Promise<void> {
    return this.#admission.reset(key, options);
  }

  /**
   * Reads one circuit without any side effect, for dashboards and health checks. It never admits a
   * probe. A circuit with a probe under way is `half-open` for all callers of `peek`.
   *
   * @param key Any string, or a listed circuit.
   * @returns A plain copy of its snapshot.
   * @throws {TypeError} If the key is neither a string nor a listed circuit.
   */
  peek(key: CircuitKey): Promise<CircuitBreakerSnapshot>;
  /**
   * Reads several circuits without any side effect.
   *
   * @param keys Any strings or listed circuits, in any order, repeated or not.
   * @returns Their snapshots in the order of the keys.
   * @throws {TypeError} If one of the keys is neither a string nor a listed circuit.
   */
  peek(keys: readonly CircuitKey[]): Promise<CircuitBreakerSnapshot[]>;
  peek(
    keys: CircuitKey | readonly CircuitKey[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    return isList(keys) ? this.#admission.peekMany(keys) : this.#admission.peek(keys);
  }

  /**
   * Lists circuits in the order of their keys, by UTF-8 bytes. To page through all of them, pass
   * the last key of a page as the `after` of the next.
   *
   * @param options Which circuits; the first 100 in any state by default.
   * @returns The keys as the store keeps them, with snapshots, forced states and last changes. Each
   * listed circuit can be passed to every method that takes a key.
   * @throws {TypeError} If an option is misspelt or of a wrong type.
   * @throws {RangeError} If the limit is out of range.
   */
  list(options: ListOptions = {}): Promise<CircuitListing[]> {
    return this.#admission.list(options);
  }

  /**
   * Watches the states of all circuits: from now on, or from the cursor of a change on. It delivers
   * every change once, and the changes of one circuit in their order. It ends with the loop, the
   * signal or the store.
   *
   * @param options A cursor to go on from, a signal that ends it, and more.
   * @returns Changes, for `for await`.
   * @throws {TypeError} If an option is misspelt or of a wrong type.
   * @throws {RangeError} If `after` is not the cursor of a change.
   */
  watch(options: WatchOptions = {}): AsyncIterableIterator<CircuitChange> {
    return this.#watches.begin(options);
  }

  /**
   * Reads the changes that the log keeps, the oldest first. To page through them, pass the cursor of
   * the last change of a page as the `after` of the next. The changes of one circuit come in their
   * order, and each change comes once, also while others are made.
   *
   * The log keeps the last 1000 changes, unless `historyRows` says otherwise.
   *
   * @param options Of which circuit, since when or after which change, and how many; the first 100 of
   * all circuits by default.
   * @returns Changes with their causes, actors and reasons.
   * @throws {TypeError} If an option is misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range, or `after` is not the cursor of a change.
   */
  history(options: HistoryOptions = {}): Promise<CircuitChange[]> {
    return this.#history.read(options);
  }

  /**
   * Opens the circuit for the whole fleet and keeps it open, whatever probes and policies report:
   * for an operator who takes an upstream out of service. It ends after `forMs` by itself, or with
   * `release`.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, who does it, and for how long; until `release` by default.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is
   * misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  forceOpen(key: CircuitKey, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#admission.force(key, "open", options);
  }

  /**
   * Closes the circuit for the whole fleet and keeps it closed, whatever probes and policies
   * report: for an operator who knows that the upstream works. It ends after `forMs` by itself, or
   * with `release`.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, who does it, and for how long; until `release` by default.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is
   * misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  forceClosed(key: CircuitKey, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#admission.force(key, "closed", options);
  }

  /**
   * Ends a forced state. The circuit goes on in the state that it had before `forceOpen` or
   * `forceClosed`.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, and who does it.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is misspelt or
   * of a wrong type.
   * @throws {RangeError} If an option is too long.
   */
  release(key: CircuitKey, options: ActOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#admission.release(key, options);
  }

  /**
   * Removes closed circuits that have been idle for a while, such as those of random request paths.
   * Open, half-open and forced circuits stay.
   *
   * @param options How long a circuit must have been idle, and how many to remove at most.
   * @returns How many it removed; 0 when nothing is left to remove.
   * @throws {TypeError} If an option is misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  prune(options: PruneOptions): Promise<number> {
    return this.#admission.prune(options);
  }

  /** Resolves: memory can always be used. It is there so that one program works with both stores. */
  async check(): Promise<void> {}

  /**
   * Ends the store's watches, and each later one as soon as it begins. Hands back the probes of
   * permits that are not reported. Its circuits stay, and other calls work as before.
   */
  destroy(): void {
    void this.close();
  }

  /** Does the same as {@linkcode InMemoryCircuitBreakerStore.destroy}. */
  close(): Promise<void> {
    this.#watches.end();
    return this.#admission.close(IMMEDIATE_CALL);
  }

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
