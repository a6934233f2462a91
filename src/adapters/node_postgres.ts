/**
 * The adapter for {@link https://node-postgres.com | node-postgres} (`pg`), on Node, Deno and Bun.
 *
 * A bare `pg.Pool` works without it; the adapter adds prepared statements.
 *
 * @example
 * ```ts
 * import pg from "pg";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
 *
 * const pool = new pg.Pool({
 *   connectionString: "postgres://localhost/app",
 *   max: 4,
 *   connectionTimeoutMillis: 1000,
 *   statement_timeout: 1000,
 *   query_timeout: 1500,
 * });
 * pool.on("error", console.error); // without a listener, a lost idle connection ends the process
 * const store = new PostgresCircuitBreakerStore(fromNodePostgres(pool));
 *
 * await store.close();
 * await pool.end(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import { isGuardedPgPool, type MarkedClient, RUN_ALONE } from "../client_traits.ts";
import type { PostgresClient } from "../types.ts";
import { having, readPrepare, wrongDriver } from "./argument.ts";
import { listenOfPool } from "./node_postgres_listener.ts";
import { statementName } from "./statement_name.ts";

/** The part of a `pg.Pool`, `pg.Client` or `pg.PoolClient` that the adapter uses. */
export interface NodePostgresLike {
  /** Runs a statement; a `name` makes it a prepared one. */
  query(
    config: { name?: string; text: string; values?: unknown[] },
  ): Promise<{ rows: unknown[] }>;
  /** Not called; it distinguishes `pg` from other drivers that have a `query`. */
  connect(): Promise<unknown>;
}

/** Options of {@linkcode fromNodePostgres}. */
export interface FromNodePostgresOptions {
  /**
   * Whether statements are prepared once per connection and then only executed. Switch it off
   * behind a pooler in transaction mode that does not track prepared statements (PgBouncer before
   * 1.21).
   *
   * @default {true}
   */
  prepare?: boolean | undefined;
}

/**
 * Makes a client for the store from a node-postgres pool or client. Errors reach the caller as the
 * driver threw them.
 *
 * Give the pool all three time limits, in milliseconds. `connectionTimeoutMillis` bounds the wait for a
 * connection. `query_timeout` gives up a connection that the network lost in silence. It needs a
 * shorter `statement_timeout` beside it: for each statement that the driver alone gives up it opens a
 * new connection, while the server keeps the old session for as long as the statement waits for a lock
 * (measured with a pool of 10 and a row locked for 6 s: 60 sessions; with both limits 10). Behind
 * PgBouncer, which refuses `statement_timeout` as an option of a connection, set it on the role.
 *
 * A pool needs an `error` listener, without which a lost idle connection ends the process. Only with it
 * does the library have the server close sessions that stayed read-only after a failover.
 *
 * Of a pool, the client can `listen`: each subscription opens a client of its own with the pool's
 * options, beside its connections, which does not keep the process alive. Listening needs the server
 * itself, or a pooler in session mode: a client that does not prepare statements has no `listen`, and
 * neither has a single client.
 *
 * @throws {TypeError} If `poolOrClient` is neither.
 * @param poolOrClient A `pg.Pool`, a connected `pg.Client`, or a `pg.PoolClient`.
 * @param options Whether to prepare statements.
 * @returns A client that the store accepts. It owns nothing: ending the pool is the caller's affair.
 */
export function fromNodePostgres(
  poolOrClient: NodePostgresLike,
  options: FromNodePostgresOptions = {},
): PostgresClient {
  if (!having(poolOrClient, "query", "connect")) {
    throw wrongDriver("node-postgres", "a Pool or a Client of pg", poolOrClient);
  }
  const prepare = readPrepare("node-postgres", options);
  // Not prepared is for poolers in transaction mode, which pass on no notifications.
  const listen = prepare ? listenOfPool(poolOrClient) : undefined;
  const query: PostgresClient["query"] = async (text, params = []) => {
    const { rows } = prepare && params.length > 0
      ? await poolOrClient.query({ name: await statementName(text), text, values: params })
      : await poolOrClient.query({ text, values: params });
    return { rows: rows as Record<string, unknown>[] };
  };
  const client: MarkedClient = {
    get [RUN_ALONE]() {
      // The pool's error listener may come later.
      return isGuardedPgPool(poolOrClient) ? query : undefined;
    },
    ...listen && { listen },
    query,
  };
  return client;
}
