/**
 * What the adapter uses of Deno Postgres, and what it makes of a factory.
 *
 * @module
 */

import type { PostgresClient } from "../types.ts";

/** The part of a Deno Postgres `Client` (or `Transaction`) that the adapter uses. */
export interface DenoPostgresClientLike {
  /** Runs a statement and returns its rows keyed by column. */
  queryObject(text: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The part of a Deno Postgres `Pool` that the adapter uses. */
export interface DenoPostgresPoolLike {
  /** Takes a connection out of the pool; `release` puts it back. */
  connect(): Promise<DenoPostgresClientLike & { release(): void }>;
}

/** The part of a Deno Postgres `Pool` that the adapter uses where a factory makes it. */
export interface DenoPostgresOwnedPoolLike {
  /** How many connections the pool can hold. */
  readonly size: number;
  /** Takes a connection out of the pool; `release` puts it back, `end` closes it. */
  connect(): Promise<DenoPostgresClientLike & { release(): void; end(): Promise<void> }>;
  /** Closes the connections that are in the pool. */
  end(): Promise<void>;
}

/** A client for the store that makes its pools itself, and therefore ends them. */
export interface PoolOwningClient extends PostgresClient {
  /**
   * Ends the pool: close the store first. A statement that is under way is not interrupted, and its
   * connection ends with it. Later statements reject. Resolves once the connections are closed, or
   * after one second, and never rejects. Calling it again does nothing more.
   */
  end(): Promise<void>;
}
