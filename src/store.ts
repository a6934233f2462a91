import { BackgroundPruner } from "./outage/background_pruner.ts";
import { ClockOffset } from "./time/clock_offset.ts";
import { LocalCircuits } from "./outage/local_circuits.ts";
import { OutageGuard } from "./outage/guard.ts";
import { CacheInvalidation } from "./cache/invalidation.ts";
import { Admission } from "./admission/admission.ts";
import { Watches } from "./feed/watch.ts";
import type { PostgresCircuitBreakerStoreOptions } from "./options/store_options.ts";
import { resolveOptions } from "./options/resolve.ts";
import { Dispatcher } from "./postgres/dispatcher.ts";
import { ChangeFeed } from "./postgres/change_feed.ts";
import { CircuitTable } from "./postgres/circuit_table.ts";
import { assertClient } from "./postgres/executor.ts";
import { parseTableName } from "./postgres/identifier.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitChange,
  CircuitListing,
  CircuitState,
  ForceOptions,
  ListOptions,
  PostgresClient,
  PruneOptions,
  WatchOptions,
} from "./types.ts";

/**
 * Circuits in a PostgreSQL table, shared by every instance that uses the table: when one learns
 * that an upstream is down, all know.
 *
 * The database's clock decides; snapshots are in the caller's clock, so they compare with
 * `Date.now()`. The constructor sends nothing: run {@linkcode migrate} first. Nothing here closes
 * the client.
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
  readonly #service: Admission;
  readonly #guard: OutageGuard;
  readonly #caretaker: BackgroundPruner | undefined;
  readonly #replication: CacheInvalidation | undefined;
  readonly #watches: Watches;
  #closing: Promise<void> | undefined;

  /**
   * Makes a store on a table. Sends nothing and starts nothing.
   *
   * @param client A `pg.Pool`, a PGlite, or the result of an adapter.
   * @param table A table name, `table` or `schema.table`, taken literally and in its case; a part
   * with a dot in it stands in double quotes. Default: `stoma_circuit_breakers`.
   * @param options See {@linkcode PostgresCircuitBreakerStoreOptions}.
   * @throws {TypeError} If the client has no `query` method, or an option is unknown or of a wrong
   * type.
   * @throws {RangeError} If PostgreSQL cannot hold the table name, or an option is out of range.
   */
  constructor(
    client: PostgresClient,
    table = "stoma_circuit_breakers",
    options: PostgresCircuitBreakerStoreOptions = {},
  ) {
    assertClient("create store", client);
    const { now, rules, timeoutMs, durability, ...resolved } = resolveOptions(options);
    const offset = new ClockOffset();
    const name = parseTableName("create store", table);
    const onTime = offset.observe.bind(offset);
    const circuits = new CircuitTable(client, name, { now, rules, timeoutMs, durability, onTime });
    this.#guard = new OutageGuard({
      fallback: resolved.onOutage === "throw"
        ? undefined
        : new LocalCircuits(rules, now ?? (() => Date.now() - offset.value)),
      onOutageChange: resolved.onOutageChange,
    });
    const { maxCircuits, maxStalenessMs } = resolved;
    const { onOutcome } = this.#guard;
    this.#guard.guard(new Dispatcher(circuits, { timeoutMs, maxCircuits, onOutcome }));
    const feed = new ChangeFeed(client, name);
    this.#replication = maxStalenessMs === 0
      ? undefined
      : new CacheInvalidation(this.#guard, feed, { maxStalenessMs, timeoutMs, now });
    this.#caretaker = resolved.pruneIdleMs === undefined ? undefined : new BackgroundPruner(
      (idleMs, limit) => this.#guard.prune(idleMs, limit, true),
      resolved.pruneIdleMs,
    );
    // Looked up at each call, as everywhere else: a test may replace it later.
    const callerNow = now ?? (() => Date.now());
    const clock = { now: callerNow, toCaller: offset.toCaller.bind(offset) };
    this.#service = new Admission(this.#replication?.replica ?? this.#guard, rules, clock);
    this.#watches = new Watches({ circuits: this.#guard, feed, clock, maxStalenessMs });
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
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
   * @throws {CircuitBreakerStoreError} If it was not counted, or nobody knows whether it was.
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
   * @throws {CircuitBreakerStoreError} If it was not counted, or nobody knows whether it was.
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
   * @throws {CircuitBreakerStoreError} If it did not move, or nobody knows whether it did.
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  peek(key: string): Promise<CircuitBreakerSnapshot>;
  /**
   * Reads several circuits without any side effect.
   *
   * @param keys Any strings, in any order, repeated or not.
   * @returns Their snapshots in the order of the keys.
   * @throws {TypeError} If one of the keys is not a string.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  list(options: ListOptions = {}): Promise<CircuitListing[]> {
    return this.#service.list(options);
  }

  /**
   * Watches the states of all circuits from now on: tells every change once, and the changes of one
   * circuit in their order, whatever becomes of the connection that listens; an outage only delays
   * them. Ends with the loop, the signal or the store. It looks when the client's `listen` hears of
   * a change, and every `maxStalenessMs` (1000 ms where that is 0) besides. A circuit remembers its
   * last 16 changes, until it is reset: what it has forgotten when it is looked at is left out.
   *
   * @param options A signal that ends it.
   * @returns Changes, for `for await`. It rejects once if the first look fails for another reason
   * than an outage.
   * @throws {TypeError} If an option is unknown or of a wrong type.
   */
  watch(options: WatchOptions = {}): AsyncIterableIterator<CircuitChange> {
    return this.#watches.begin(options);
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
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
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  release(key: string): Promise<CircuitBreakerSnapshot> {
    return this.#service.release(key);
  }

  /**
   * Removes closed circuits that nobody has reported to for a while: what random request paths leave
   * behind. Open, half-open and forced ones stay. Safe from any number of instances at once; it
   * returns within `timeoutMs` with what it could do, so call it again until it returns 0.
   *
   * @param options For how long idle, and how many at most.
   * @returns How many were removed; 0 when nothing is left to remove.
   * @throws {TypeError} If an option is unknown or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  prune(options: PruneOptions): Promise<number> {
    return this.#service.prune(options);
  }

  /**
   * Releases what the store holds in this process. Never touches the client, and calling it again
   * does nothing. Calls that still arrive while a gateway drains are served. With `maxStalenessMs`,
   * successes that wait to be counted are sent off and not waited for: use
   * {@linkcode PostgresCircuitBreakerStore.close} where you can.
   */
  destroy(): void {
    this.close().catch(() => {}); // nobody is there to hear of it
  }

  /**
   * Waits until everything that was acknowledged is in the database, and releases what the store
   * holds in this process. Calling it again does nothing, and calls that still arrive are served.
   *
   * @throws {CircuitBreakerStoreError} If, with `maxStalenessMs`, successes that waited could not be
   * counted; everything is released all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#caretaker?.end();
    this.#watches.end();
    try {
      if (this.#replication !== undefined) await this.#replication.end();
    } finally {
      this.#guard.end();
    }
  }

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
