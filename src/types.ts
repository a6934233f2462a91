/**
 * The words every floor shares: Stoma's store interface and the one seam to a driver.
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
 * What is known of one circuit at one moment. A plain copy: changing it changes nothing else.
 *
 * @example A circuit nobody has recorded anything for
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
 * Where a circuit breaker keeps its circuits: the interface of the Stoma gateway's
 * `circuitBreaker({ store })`, which any other breaker can use as well.
 */
export interface CircuitBreakerStore {
  /** The circuit's current snapshot; a circuit never seen before is closed with zeros. */
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
 * The one seam to a PostgreSQL driver: run one statement with `$1`-style parameters, return its rows.
 *
 * A `pg.Pool`, a `pg.Client` and a PGlite instance fit as they are; every other driver goes through
 * one of the adapters. A client may be used by many calls at once.
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
   * Listens to a channel on a connection of its own, for drivers that can: with `maxStalenessMs`, it
   * brings changes of other instances within milliseconds. A client without it keeps the bound by
   * asking at intervals. A bare PGlite has it as it is.
   *
   * @param channel The channel's name, of at most 63 lower-case letters, digits and underscores.
   * @param onNotification ChangeTail of each payload, in the order in which the transactions were
   * committed. Does not throw.
   * @returns What ends it, once the server listens. Rejects where it cannot listen, having left
   * nothing behind.
   */
  listen?(channel: string, onNotification: (payload: string) => void): Promise<Unlisten>;
}

/**
 * Ends a subscription and lets its connection go. Nothing is told afterwards; calling it again, or
 * after the connection was lost, does nothing.
 */
export interface Unlisten {
  (): Promise<void>;
  /**
   * Resolves when notifications may have been lost, because the connection ended without having
   * been asked to: the subscription is dead then, and whoever wants to go on listens anew. Never
   * rejects. Absent where that cannot happen.
   */
  lost?: Promise<void>;
}

/** A circuit as {@linkcode ListOptions} tools see it: its key and its snapshot. */
export interface CircuitListing extends CircuitBreakerSnapshot {
  /**
   * The circuit's key as the table holds it: the key itself, or, for a key that PostgreSQL cannot
   * hold or index, a readable prefix and a SHA-256 digest.
   */
  key: string;
  /** What an operator forced on the circuit, where that is in force. */
  forced?: CircuitForce;
}

/** A state that an operator forced on a circuit with `forceOpen` or `forceClosed`. */
export interface CircuitForce {
  /** The state that everyone sees. */
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
 * who forced a state, released it or reset the circuit. A forced state that ended by its time is told
 * when the end is noticed, with the version that it had, unless the circuit moved on meanwhile.
 *
 * @example Hearing of every change in the fleet
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
 * const told: CircuitChange[] = [];
 * for await (const change of changes) {
 *   told.push(change);
 *   if (change.to === "closed") break;
 * }
 * assertEquals(told.map(({ key, from, to }) => `${key}: ${from} -> ${to}`), [
 *   "payments: closed -> open",
 *   "payments: open -> half-open",
 *   "payments: half-open -> closed",
 * ]);
 * await db.close();
 * ```
 */
export interface CircuitChange {
  /** The circuit's key in the form in which {@linkcode CircuitListing} has it. */
  key: string;
  /** The state before. */
  from: CircuitState;
  /** The state after, never the same. */
  to: CircuitState;
  /**
   * The version that the circuit came to, which grows with each change until the circuit is reset; 0
   * for the reset itself.
   */
  version: number;
  /**
   * When, in epoch milliseconds of the caller's clock. Of a reset: when it was noticed, or when the
   * circuit first moved again, where that was before.
   */
  at: number;
}

/** How `watch` watches. */
export interface WatchOptions {
  /**
   * Ends the iteration when it aborts: an `AbortSignal`.
   *
   * @default {undefined} until the loop is left or the store is closed
   */
  signal?: {
    /** Whether it has aborted. */
    readonly aborted: boolean;
    /** Has a function called when it aborts. */
    addEventListener(type: "abort", listener: () => void): void;
    /** Takes that back. */
    removeEventListener(type: "abort", listener: () => void): void;
  };
}

/** How `forceOpen` and `forceClosed` force a state. */
export interface ForceOptions {
  /**
   * Why, for whoever finds it: at most 1000 characters.
   *
   * @default {undefined}
   */
  reason?: string;
  /**
   * For how many milliseconds, a positive number.
   *
   * @default {undefined} until `release`
   */
  forMs?: number;
}

/** Which circuits `prune` removes. */
export interface PruneOptions {
  /** Closed circuits that nobody has reported to for so many milliseconds, from 0. */
  idleMs: number;
  /**
   * How many at most, a whole number from 1 to 1,000,000.
   *
   * @default {1000}
   */
  limit?: number;
}

/** Which circuits to list. */
export interface ListOptions {
  /**
   * Only circuits in this state.
   *
   * @default {undefined}
   */
  state?: CircuitState;
  /**
   * Only circuits whose listed key comes after this one: pass the last key of the page before.
   *
   * @default {undefined}
   */
  after?: string;
  /**
   * How many circuits at most, a whole number from 1 to 10,000.
   *
   * @default {100}
   */
  limit?: number;
}

/** The highest a counter goes: the last whole number that JavaScript holds exactly. */
export const MAX_COUNT: number = Number.MAX_SAFE_INTEGER;
