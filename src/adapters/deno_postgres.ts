/**
 * The adapter for {@link https://jsr.io/@db/postgres | Deno Postgres} (`jsr:@db/postgres`).
 *
 * @example
 * ```ts ignore
 * import { Pool } from "@db/postgres";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromDenoPostgres } from "@circuit-breaker/postgres/deno-postgres";
 *
 * const pool = new Pool("postgres://localhost/app", 4, true);
 * const store = new PostgresCircuitBreakerStore(fromDenoPostgres(pool));
 *
 * await store.close();
 * await pool.end(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import type { PostgresClient } from "../types.ts";
import { having, wrongDriver } from "./argument.ts";

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

/**
 * Makes a client for the store from a Deno Postgres pool or client. A pool lends one connection per
 * statement and always gets it back; a single client runs its calls one after the other. Statements
 * are never prepared under a name, so poolers in transaction mode need no setting. Errors reach the
 * caller as the driver threw them. The client has no `listen`, because the driver has none.
 *
 * @throws {TypeError} If `poolOrClient` is neither.
 * @param poolOrClient A `Pool`, a connected `Client`, or a `PoolClient`.
 * @returns A client that the store accepts. It owns nothing: ending the pool is the caller's affair.
 */
export function fromDenoPostgres(
  poolOrClient: DenoPostgresPoolLike | DenoPostgresClientLike,
): PostgresClient {
  // A client has a `connect` as well, so it is recognised by what only it has.
  if (having(poolOrClient, "queryObject")) {
    const client = poolOrClient as DenoPostgresClientLike;
    return { query: (text, params = []) => run(client, text, params) };
  }
  if (!having(poolOrClient, "connect") || having(poolOrClient, "query")) {
    throw wrongDriver("Deno Postgres", "a Pool or a Client of @db/postgres", poolOrClient);
  }
  const pool = poolOrClient as DenoPostgresPoolLike;
  return {
    async query(text, params = []) {
      const client = await pool.connect();
      try {
        return await run(client, text, params);
      } finally {
        client.release();
      }
    },
  };
}

async function run(client: DenoPostgresClientLike, text: string, params: unknown[]): Promise<Rows> {
  const { rows } = await client.queryObject(text, params);
  return { rows: rows as Rows["rows"] };
}

type Rows = Awaited<ReturnType<PostgresClient["query"]>>;
