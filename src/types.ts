/**
 * The types that every floor shares: Stoma's store interface, and the interface to a driver.
 *
 * @module
 */

/**
 * The state of a circuit: `closed` lets traffic through, `open` refuses it, `half-open` lets a few
 * probes through to find out whether the upstream has recovered.
 */
export type CircuitState = "closed" | "open" | "half-open";

/** Every {@linkcode CircuitState}. */
export const CIRCUIT_STATES: readonly CircuitState[] = ["closed", "open", "half-open"];

/**
 * One circuit at one moment. A plain copy: changing it changes nothing else.
 *
 * @example A circuit without any results
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type CircuitBreakerSnapshot, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const snapshot: CircuitBreakerSnapshot = await new InMemoryCircuitBreakerStore().getState("api");
 * assertEquals(snapshot, {
 *   state: "closed",
 *   failureCount: 0,
 *   successCount: 0,
 *   lastFailureTime: 0,
 *   lastStateChange: 0,
 * });
 * ```
 */
export interface CircuitBreakerSnapshot {
  /** The circuit's state. */
  state: CircuitState;
  /** Failures counted since the circuit last closed. Saturates at `Number.MAX_SAFE_INTEGER`. */
  failureCount: number;
  /** Successes counted since the circuit last changed to closed or half-open. Saturates likewise. */
  successCount: number;
  /** When the last failure was recorded, in epoch milliseconds of the caller's clock; 0 for never. */
  lastFailureTime: number;
  /** When the state last really changed, in epoch milliseconds of the caller's clock; 0 for never. */
  lastStateChange: number;
}

/** What a caller may say of a result that it records. */
export interface ResultOptions {
  /**
   * How long the call took, in milliseconds, from 0. A call that took at least `slowCallDurationMs`
   * counts as slow.
   *
   * @default {undefined} the call counts as not slow
   */
  durationMs?: number | undefined;
}

/**
 * The store of a circuit breaker: the interface of the Stoma gateway's `circuitBreaker({ store })`,
 * which any other breaker can use as well.
 */
export interface CircuitBreakerStore {
  /** Returns the circuit's current snapshot; a new circuit is closed with zeros. */
  getState(key: string): Promise<CircuitBreakerSnapshot>;
  /** Counts one success and returns the snapshot that includes it. */
  recordSuccess(key: string): Promise<CircuitBreakerSnapshot>;
  /** Counts one failure and returns the snapshot that includes it. */
  recordFailure(key: string): Promise<CircuitBreakerSnapshot>;
  /** Moves the circuit to a state and returns the snapshot after it. */
  transition(key: string, to: CircuitState): Promise<CircuitBreakerSnapshot>;
  /** Forgets the circuit, which makes it closed with zeros. */
  reset(key: string): Promise<void>;
  /** Releases what the store holds in this process. Never touches shared data. */
  destroy?(): void;
}

/**
 * The interface to a PostgreSQL driver. It runs one statement with `$1`-style parameters and
 * returns the rows.
 *
 * A `pg.Pool`, a `pg.Client` and a PGlite instance fit as they are. Every other driver needs one of
 * the adapters. Many calls may use a client at once.
 *
 * @example Wrapping a driver that has no adapter
 * ```ts
 * import type { PostgresClient } from "@circuit-breaker/postgres";
 *
 * type Run = (sql: string, args: unknown[]) => Promise<Record<string, unknown>[]>;
 *
 * export function fromMyDriver(run: Run): PostgresClient {
 *   return { query: async (text, params = []) => ({ rows: await run(text, params) }) };
 * }
 * ```
 */
export interface PostgresClient {
  /** Runs one SQL statement. Parameters are strings, numbers or null; rows are keyed by column. */
  query(text: string, params?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  /**
   * Listens to a channel on a connection of its own, for drivers that can. Changes of other
   * instances then show within milliseconds. Without it the store asks at intervals, and keeps the
   * bound of `maxStalenessMs` in this way. A bare PGlite has the method.
   *
   * @param channel The channel's name, of at most 63 lower-case letters, digits and underscores.
   * @param onNotification Called with each payload, in the order in which the transactions were
   * committed. It does not throw.
   * @returns The function that ends it, once the server listens. Rejects where it cannot listen,
   * and keeps no connection then.
   */
  listen?(channel: string, onNotification: (payload: string) => void): Promise<Unlisten>;
}

/**
 * Ends a subscription and releases its connection. There are no notifications afterwards. Calling
 * it again, or after the connection was lost, does nothing.
 */
export interface Unlisten {
  (): Promise<void>;
  /**
   * Resolves when notifications may have been lost, because the connection ended by itself. The
   * subscription has then ended too, and the caller listens anew. Never rejects. Absent where that
   * cannot happen.
   */
  lost?: Promise<void>;
}

/** The highest a counter goes: the last whole number that JavaScript holds exactly. */
export const MAX_COUNT: number = Number.MAX_SAFE_INTEGER;
