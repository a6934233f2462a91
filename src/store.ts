import { assembleStore, type StoreParts } from "./assemble_store.ts";
import { type CircuitKey, isList } from "./key.ts";
import { makeObservable } from "./metrics/observation.ts";
import { resolveOptions, storeArguments } from "./options/resolve.ts";
import type { PostgresCircuitBreakerStoreOptions } from "./options/store_options.ts";
import { assertClient } from "./postgres/client_contract.ts";
import type { AcquireOptions, Permit } from "./permit.ts";
import { oneTableName } from "./postgres/identifier.ts";
import type { CircuitInstance, CircuitListing } from "./listing_types.ts";
import { provideQuickCalls } from "./quick_calls.ts";
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
  PostgresClient,
  ResultOptions,
} from "./types.ts";

/**
 * Circuits in a PostgreSQL table. All instances that use the table share them: when one instance
 * learns that an upstream is down, all know.
 *
 * The database's clock decides. Snapshots are in the caller's clock, so they compare with
 * `Date.now()`. The constructor sends nothing: run {@linkcode migrate} first. The store never
 * closes the client.
 *
 * @example Two gateways that share a circuit
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * const one = new PostgresCircuitBreakerStore(db);
 * const other = new PostgresCircuitBreakerStore(db);
 *
 * await one.recordFailure("payments");
 * await one.transition("payments", "open");
 * assertEquals((await other.getState("payments")).state, "open");
 * await db.close();
 * ```
 */
export class PostgresCircuitBreakerStore implements CircuitBreakerStore, AsyncDisposable {
  readonly #parts: StoreParts;
  #closing: Promise<void> | undefined;

  /**
   * Makes a store on the table that the options name. It sends nothing.
   *
   * @param client A `pg.Pool`, a PGlite, or the result of an adapter.
   * @param options See {@linkcode PostgresCircuitBreakerStoreOptions}.
   */
  constructor(client: PostgresClient, options?: PostgresCircuitBreakerStoreOptions);
  /**
   * Makes a store on a table. It sends nothing and starts nothing.
   *
   * @param client A `pg.Pool`, a PGlite, or the result of an adapter.
   * @param table A table name, `table` or `schema.table`, taken literally and in its case. Write a
   * part with a dot in double quotes. Default: `stoma_circuit_breakers`.
   * @param options See {@linkcode PostgresCircuitBreakerStoreOptions}.
   * @throws {TypeError} If the client has no `query` method, or an option is misspelt or of a wrong
   * type, or the option `table` names another table than the argument.
   * @throws {RangeError} If PostgreSQL cannot hold the table name, if it looks like a connection string,
   * or if an option is out of range.
   */
  constructor(
    client: PostgresClient,
    table?: string,
    options?: PostgresCircuitBreakerStoreOptions,
  );
  constructor(
    client: PostgresClient,
    tableOrOptions?: string | PostgresCircuitBreakerStoreOptions,
    given?: PostgresCircuitBreakerStoreOptions,
  ) {
    assertClient("create store", client);
    const [table, options] = storeArguments(tableOrOptions, given);
    const resolved = resolveOptions(options);
    const name = oneTableName("create store", table, resolved.table);
    this.#parts = assembleStore(client, name, resolved);
    makeObservable(this, this.#parts.observation);
    provideQuickCalls(this, this.#parts, resolved, PostgresCircuitBreakerStore.prototype);
  }

  /**
   * Returns the circuit's snapshot. A circuit without a row is closed with zeros, and stays without.
   *
   * With `resetTimeoutMs`, this method admits probes. When an open circuit is due, `halfOpenMax`
   * callers in the whole fleet get `half-open` in each round, and report with `transition`. Others get
   * `open`, with a `lastStateChange` by which the policy names the time until the lease ends.
   *
   * @param key Any string, or a listed circuit.
   * @returns A plain copy: changing it changes nothing else.
   * @throws {TypeError} If the key is neither a string nor a listed circuit.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  getState(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.getState(key);
  }

  /**
   * Asks for a permit for one call, by the rules of `getState`. Both may be used on one circuit.
   *
   * @param key Any string, or a listed circuit.
   * @param options A signal that ends a probe.
   * @returns The permit, which takes the result.
   * @throws {TypeError} If the key or an option is wrong.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  acquire(key: CircuitKey, options?: AcquireOptions): Promise<Permit> {
    return this.#parts.admission.acquire(key, options);
  }

  /**
   * Counts one success. With rules of the store's own, it opens the circuit where this result makes it due.
   *
   * @param key Any string, or a listed circuit.
   * @param options How long the call took.
   * @returns The snapshot that includes it.
   * @throws {TypeError | RangeError} If the key or an option is wrong.
   * @throws {CircuitBreakerStoreError} If it was not counted, or may not have been.
   */
  recordSuccess(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.recordSuccess(key, options);
  }

  /**
   * Counts one failure. With rules of the store's own, it opens the circuit where this result makes it due.
   *
   * @param key Any string, or a listed circuit.
   * @param options How long the call took.
   * @returns The snapshot that includes it, with the failures of the window where there is one.
   * @throws {TypeError | RangeError} If the key or an option is wrong.
   * @throws {CircuitBreakerStoreError} If it was not counted, or may not have been.
   */
  recordFailure(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.recordFailure(key, options);
  }

  /**
   * Moves the circuit to a state. A move to `closed` zeroes both counters, also of a circuit that
   * is closed already. A move to `half-open` zeroes the successes. An open circuit stays as it is
   * when it is moved to `open`, so that a late caller does not prolong that state.
   *
   * With `resetTimeoutMs`, a move to `closed` or `open` is the result of a probe, where this
   * instance was admitted one. It applies only in the round of that probe. A move to `open` by any
   * other instance applies only to a closed circuit; with `trip: "store"`, to one that is due to open.
   * While an operator forces a state, none does.
   *
   * @param key Any string, or a listed circuit.
   * @param to The state to move to.
   * @returns The snapshot after it, whether or not it moved.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or the state is unknown.
   * @throws {CircuitBreakerStoreError} If it did not move, or may not have.
   */
  transition(key: CircuitKey, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.transition(key, to);
  }

  /**
   * Forgets the circuit for every instance, and the state that an operator forced on it: it is closed
   * with zeros, and `list` leaves it out. The store then ignores the result of a probe that is under
   * way. The log keeps the circuit's changes, and its versions go on.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, and who does it.
   * @throws {TypeError} If the key is neither a string nor a listed circuit, or an option is wrong.
   * @throws {RangeError} If an option is too long.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  reset(key: CircuitKey, options: ActOptions = {}): Promise<void> {
    return this.#parts.admission.reset(key, options);
  }

  /**
   * Reads one circuit without any side effect, for dashboards and health checks. It never admits a
   * probe. A circuit with a probe under way is `half-open` for all callers of `peek`.
   *
   * @param key Any string, or a listed circuit.
   * @returns A plain copy of its snapshot.
   * @throws {TypeError} If the key is neither a string nor a listed circuit.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  peek(key: CircuitKey): Promise<CircuitBreakerSnapshot>;
  /**
   * Reads several circuits without any side effect.
   *
   * @param keys Any strings or listed circuits, in any order, repeated or not.
   * @returns Their snapshots in the order of the keys.
   * @throws {TypeError} If one of the keys is neither a string nor a listed circuit.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  peek(keys: readonly CircuitKey[]): Promise<CircuitBreakerSnapshot[]>;
  peek(
    keys: CircuitKey | readonly CircuitKey[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    return isList(keys) ? this.#parts.admission.peekMany(keys) : this.#parts.admission.peek(keys);
  }

  /**
   * Lists circuits in the order of their keys, by UTF-8 bytes. To page through all of them, pass
   * the last key of a page as the `after` of the next.
   *
   * @param options Which circuits; the first 100 in any state by default.
   * @returns Circuits. Each can be passed to every method that takes a key.
   * @throws {TypeError | RangeError} If an option is wrong.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  list(options: ListOptions = {}): Promise<CircuitListing[]> {
    return this.#parts.admission.list(options);
  }

  /**
   * Watches the states of all circuits: from now on, or from the cursor of a change on. It delivers
   * every change once, and the changes of one circuit in their order, whatever connections are lost
   * meanwhile. It ends with the loop, the signal or the store.
   *
   * It reads what is new in the log: when the client's `listen` announces a change, at most every
   * 20 ms, and every `maxStalenessMs` (1000 ms where that is 0). What that costs depends on what has
   * changed, not on how many circuits there are. It reads no further while 10,000 changes wait.
   * Changes by plain SQL, and ends of forced states, come when an instance notices them.
   *
   * @param options A cursor to go on from, a signal that ends it, and more.
   * @returns Changes, for `for await`. It rejects once if the first read fails, but for an outage.
   * @throws {TypeError | RangeError} If an option is wrong, or `after` is not the cursor of a change.
   */
  watch(options: WatchOptions = {}): AsyncIterableIterator<CircuitChange> {
    return this.#parts.watches.begin(options);
  }

  /**
   * Reads the changes that the log keeps, the oldest first, with forces and releases that left the
   * state as it was. To page through them, pass the cursor of the last change of a page as the `after`
   * of the next. Each change comes once, and those of one circuit in their order.
   *
   * @param options Of which circuit, since when or after which change, and how many: 100 by default.
   * @returns Changes with their causes, actors and reasons.
   * @throws {TypeError | RangeError} If an option is wrong, or `after` is not the cursor of a change.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  history(options: HistoryOptions = {}): Promise<CircuitChange[]> {
    return this.#parts.history.read(options);
  }

  /**
   * Reads the instances that were seen in the last 15 minutes, in the order of their labels. One shows
   * itself about every 30 seconds while it is in use, the first time after ten; one with a cache at once.
   *
   * @returns Each with its label, its version of the library, its bound, and when it was last seen.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  instances(): Promise<CircuitInstance[]> {
    return this.#parts.instances();
  }

  /**
   * Opens the circuit for the whole fleet and keeps it open, whatever probes and policies report: for
   * an operator who takes an upstream out of service. It ends after `forMs`, or with `release`.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, who does it, and for how long; until `release` by default.
   * @returns The snapshot after it.
   * @throws {TypeError | RangeError} If the key or an option is wrong.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  forceOpen(key: CircuitKey, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.force(key, "open", options);
  }

  /**
   * Closes the circuit in the same way: for an operator who knows that the upstream works.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, who does it, and for how long; until `release` by default.
   * @returns The snapshot after it. It rejects as {@linkcode PostgresCircuitBreakerStore.forceOpen}.
   */
  forceClosed(key: CircuitKey, options: ForceOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.force(key, "closed", options);
  }

  /**
   * Ends a forced state. The circuit goes on in the state that it had before.
   *
   * @param key Any string, or a listed circuit.
   * @param options The reason, and who does it.
   * @returns The snapshot after it.
   * @throws {TypeError | RangeError} If the key or an option is wrong.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  release(key: CircuitKey, options: ActOptions = {}): Promise<CircuitBreakerSnapshot> {
    return this.#parts.admission.release(key, options);
  }

  /**
   * Removes closed circuits that have been idle for a while, such as those of random request paths.
   * Open, half-open and forced ones stay. It returns within `timeoutMs`: call it until it returns 0.
   *
   * @param options How long a circuit must have been idle, and how many to remove at most.
   * @returns How many it removed; 0 when nothing is left to remove.
   * @throws {TypeError | RangeError} If an option is wrong.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  prune(options: PruneOptions): Promise<number> {
    return this.#parts.admission.prune(options);
  }

  /**
   * Rejects unless the store can work, with a message that says what to do. Call it when a gateway
   * starts, or in its readiness probe: with a broken store the gateway's policy silently lets all
   * traffic through.
   *
   * @throws {StoreUnavailableError | StoreTimeoutError} If the database cannot be used in time.
   * @throws {SchemaError} If the table is missing, outdated, newer, or no circuit breaker table.
   * @throws {CircuitBreakerStoreError} If a privilege is missing, or circuits may be hidden.
   */
  check(): Promise<void> {
    return this.#parts.check();
  }

  /**
   * Closes the store, but returns at once and drops the errors. A gateway that drains can still make
   * calls: each asks the database, and none begins an outage.
   */
  destroy(): void {
    this.close().catch(() => {}); // the caller does not wait, so it cannot hear of it
  }

  /**
   * Ends the store's background work and its watches. Hands back the probes of permits that are not
   * reported, and waits until the database has counted all successes that were acknowledged.
   *
   * @throws {CircuitBreakerStoreError} If the database did not count successes that waited. The
   * store has ended in this case too.
   */
  close(): Promise<void> {
    this.#closing ??= this.#parts.close();
    return this.#closing;
  }

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
