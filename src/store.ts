import { assertKey, assertState, cursorKey, isList, storedKey } from "./key.ts";
import { resolveListOptions } from "./list_options.ts";
import { ClockOffset } from "./local/clock.ts";
import { type PostgresCircuitBreakerStoreOptions, resolveOptions } from "./options.ts";
import { Batch } from "./postgres/batch.ts";
import { type Circuit, CircuitTable } from "./postgres/circuit_table.ts";
import { assertClient } from "./postgres/executor.ts";
import { parseTableName } from "./postgres/identifier.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitListing,
  CircuitState,
  ListOptions,
  PostgresClient,
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
  readonly #table: CircuitTable;
  readonly #circuits: Batch;
  readonly #clock = new ClockOffset();

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
    const { now } = resolveOptions(options);
    this.#table = new CircuitTable(client, parseTableName("create store", table), {
      now,
      onTime: (sent, server, received) => this.#clock.observe(sent, server, received),
    });
    this.#circuits = new Batch(this.#table);
  }

  /**
   * The circuit's snapshot. A circuit without a row is closed with zeros, and no row is created.
   *
   * @param key Any string.
   * @returns A plain copy.
   * @throws {TypeError} If the key is not a string.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  async getState(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("read circuit", key);
    return this.#snapshot(await this.#circuits.read(await storedKey(key)));
  }

  /**
   * Counts one success.
   *
   * @param key Any string.
   * @returns The snapshot that includes it.
   * @throws {TypeError} If the key is not a string.
   * @throws {CircuitBreakerStoreError} If it was not counted, or nobody knows whether it was.
   */
  async recordSuccess(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("record success", key);
    return this.#snapshot(await this.#circuits.recordSuccess(await storedKey(key)));
  }

  /**
   * Counts one failure.
   *
   * @param key Any string.
   * @returns The snapshot that includes it.
   * @throws {TypeError} If the key is not a string.
   * @throws {CircuitBreakerStoreError} If it was not counted, or nobody knows whether it was.
   */
  async recordFailure(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("record failure", key);
    return this.#snapshot(await this.#circuits.recordFailure(await storedKey(key)));
  }

  /**
   * Moves the circuit to a state. To the state it already has: nothing changes, so that a straggler
   * does not prolong an outage. `closed` zeroes both counters, `half-open` the successes.
   *
   * @param key Any string.
   * @param to The state to move to.
   * @returns The snapshot after it.
   * @throws {TypeError} If the key is not a string or the state is not a state.
   * @throws {CircuitBreakerStoreError} If it did not move, or nobody knows whether it did.
   */
  async transition(key: string, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    assertKey("move circuit", key);
    assertState("move circuit", "to", to);
    return this.#snapshot(await this.#circuits.transition(await storedKey(key), to));
  }

  /**
   * Forgets the circuit, for every instance.
   *
   * @param key Any string.
   * @throws {TypeError} If the key is not a string.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  async reset(key: string): Promise<void> {
    assertKey("reset circuit", key);
    await this.#circuits.reset(await storedKey(key));
  }

  /**
   * Reads one circuit without any side effect, for dashboards and health checks.
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
  async peek(
    keys: string | readonly string[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    const asked = isList(keys) ? keys : [keys];
    const stored = await Promise.all(asked.map((key) => {
      assertKey("read circuit", key);
      return storedKey(key);
    }));
    const found = new Map<string, Circuit>();
    const unique = [...new Set(stored)];
    for (let i = 0; i < unique.length; i += MAX_KEYS_PER_STATEMENT) {
      const circuits = await this.#table.read(unique.slice(i, i + MAX_KEYS_PER_STATEMENT));
      for (const circuit of circuits) found.set(circuit.key, circuit);
    }
    const snapshots = stored.map((key) => this.#snapshot(found.get(key)));
    return isList(keys) ? snapshots : snapshots[0]!;
  }

  /**
   * Lists circuits in the order of their keys, by UTF-8 bytes. To page through all, pass the last
   * key of a page as the next one's `after`.
   *
   * @param options Which ones; all of the first 100 by default.
   * @returns Keys, as the table holds them, with snapshots.
   * @throws {TypeError} If an option is unknown or of a wrong type.
   * @throws {RangeError} If the limit is out of range.
   * @throws {CircuitBreakerStoreError} If the database cannot be asked.
   */
  async list(options: ListOptions = {}): Promise<CircuitListing[]> {
    const resolved = resolveListOptions(options);
    if (resolved.after !== undefined) resolved.after = await cursorKey(resolved.after);
    const circuits = await this.#table.list(resolved);
    return circuits.map((circuit) => ({ key: circuit.key, ...this.#snapshot(circuit) }));
  }

  /**
   * Releases what the store holds in this process. Never touches shared data or the client, and
   * calling it again does nothing. Calls that still arrive while a gateway drains are served.
   */
  destroy(): void {}

  /**
   * Waits until everything that was acknowledged is in the database, then releases what the store
   * holds in this process, as {@linkcode PostgresCircuitBreakerStore.destroy} does.
   */
  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.destroy();
  }

  /** Closes the store at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #snapshot(circuit: Circuit | undefined): CircuitBreakerSnapshot {
    return {
      state: circuit?.state ?? "closed",
      failureCount: circuit?.failureCount ?? 0,
      successCount: circuit?.successCount ?? 0,
      lastFailureTime: this.#clock.toCaller(circuit?.lastFailureTime ?? 0),
      lastStateChange: this.#clock.toCaller(circuit?.lastStateChange ?? 0),
    };
  }
}

/** Keeps one statement small enough that it holds no connection for long. */
const MAX_KEYS_PER_STATEMENT = 1000;
