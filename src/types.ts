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

/** A circuit as `list` returns it: its key and its snapshot. */
export interface CircuitListing extends CircuitBreakerSnapshot {
  /**
   * The circuit's key as the table holds it: the key itself, or, for a key that PostgreSQL cannot
   * hold or index, a readable prefix and a SHA-256 digest.
   */
  key: string;
  /** The same. With it, every method that takes a key takes the listing, and means this circuit. */
  storedKey: string;
  /** The state that an operator forced on the circuit, while it is in force. */
  forced?: CircuitForce;
}

/** A state that an operator forced on a circuit with `forceOpen` or `forceClosed`. */
export interface CircuitForce {
  /** The state that the whole fleet sees. */
  state: "open" | "closed";
  /** Since when, in epoch milliseconds of the caller's clock. */
  since: number;
  /** When it ends by itself, in epoch milliseconds of the caller's clock; absent for never. */
  until?: number;
  /** Why, in the operator's words. */
  reason?: string;
}

/**
 * A change of a circuit's state, as the whole fleet sees it: by a policy, a probe, or an operator
 * who forced a state, released it or reset the circuit. A forced state can also end by its time.
 * The watch delivers that change when it notices the end, with the version that the circuit had,
 * unless the circuit has moved meanwhile.
 *
 * @example Watching every change in the fleet
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type CircuitChange, migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * await using store = new PostgresCircuitBreakerStore(db);
 *
 * const changes = store.watch();
 * await store.transition("payments", "open");
 * await store.transition("payments", "half-open");
 * await store.transition("payments", "closed");
 * const seen: CircuitChange[] = [];
 * for await (const change of changes) {
 *   seen.push(change);
 *   if (change.to === "closed") break;
 * }
 * assertEquals(seen.map(({ key, from, to }) => `${key}: ${from} -> ${to}`), [
 *   "payments: closed -> open",
 *   "payments: open -> half-open",
 *   "payments: half-open -> closed",
 * ]);
 * await db.close();
 * ```
 */
export interface CircuitChange {
  /** The circuit's key in the form of {@linkcode CircuitListing.storedKey}. */
  key: string;
  /** The state before. */
  from: CircuitState;
  /** The state after, never the same. */
  to: CircuitState;
  /**
   * The version that the circuit reached. It grows with each change until the circuit is reset, and
   * is 0 for the reset itself.
   */
  version: number;
  /**
   * When, in epoch milliseconds of the caller's clock. For a reset: when the watch noticed it, or
   * when the circuit first moved again, where that was earlier.
   */
  at: number;
}

/** How `watch` watches. */
export interface WatchOptions {
  /**
   * Ends the iteration when it aborts: an `AbortSignal`.
   *
   * @default {undefined} until the loop ends or the store is closed
   */
  signal?: {
    /** Whether it has aborted. */
    readonly aborted: boolean;
    /** Adds a function that is called when it aborts. */
    addEventListener(type: "abort", listener: () => void): void;
    /** Removes it. */
    removeEventListener(type: "abort", listener: () => void): void;
  } | undefined;
}

/** How `forceOpen` and `forceClosed` force a state. */
export interface ForceOptions {
  /**
   * The reason, for other operators: at most 1000 characters.
   *
   * @default {undefined}
   */
  reason?: string | undefined;
  /**
   * For how many milliseconds, a positive number.
   *
   * @default {undefined} until `release`
   */
  forMs?: number | undefined;
}

/** Which circuits `prune` removes. */
export interface PruneOptions {
  /** How long a closed circuit must have been without results, in milliseconds, from 0. */
  idleMs: number;
  /**
   * How many at most, a whole number from 1 to 1,000,000.
   *
   * @default {1000}
   */
  limit?: number | undefined;
}

/** Which circuits to list. */
export interface ListOptions {
  /**
   * Only circuits in this state.
   *
   * @default {undefined}
   */
  state?: CircuitState | undefined;
  /**
   * Only circuits whose listed key comes after this one: pass the last key of the page before.
   *
   * @default {undefined}
   */
  after?: string | undefined;
  /**
   * How many circuits at most, a whole number from 1 to 10,000.
   *
   * @default {100}
   */
  limit?: number | undefined;
}

/** The highest a counter goes: the last whole number that JavaScript holds exactly. */
export const MAX_COUNT: number = Number.MAX_SAFE_INTEGER;
