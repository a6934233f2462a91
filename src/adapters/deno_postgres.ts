/**
 * The adapter for {@link https://jsr.io/@db/postgres | Deno Postgres} (`jsr:@db/postgres`).
 *
 * @example
 * ```ts ignore
 * import { Pool } from "@db/postgres";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromDenoPostgres } from "@circuit-breaker/postgres/deno-postgres";
 *
 * const client = fromDenoPostgres(() => new Pool("postgres://localhost/app", 4, true));
 * const store = new PostgresCircuitBreakerStore(client);
 *
 * await store.close();
 * await client.end(); // ends the pool that the adapter made
 * ```
 *
 * @module
 */

import { type MarkedClient, RUN_ALONE, type RunAlone } from "../client_traits.ts";
import type { PostgresClient } from "../types.ts";
import { having, wrongDriver } from "./argument.ts";
import { ReplacingClient, run } from "./deno_postgres_pools.ts";
import type {
  DenoPostgresClientLike,
  DenoPostgresOwnedPoolLike,
  DenoPostgresPoolLike,
  PoolOwningClient,
} from "./deno_postgres_like.ts";

export type {
  DenoPostgresClientLike,
  DenoPostgresOwnedPoolLike,
  DenoPostgresPoolLike,
  PoolOwningClient,
};

/**
 * Makes a client for the store from a function that makes a pool of Deno Postgres. Prefer it to a
 * pool: the driver keeps a connection that has died, and each statement that is given it fails, so one
 * idle connection that a restart of the server or a firewall ends would trouble the store for good.
 *
 * The function is called for the first statement. Where a statement loses its connection (an error
 * without the server's `fields`, or one that the server calls fatal) or cannot open one, the pool is
 * ended in the background and the next statement calls the function again. Statements under way on
 * other connections go on; those that wait for a connection get one of the new pool.
 *
 * Make the pool lazy, with `true` as its third argument, so that a pool that is replaced while the
 * server is away leaves no connections half made.
 *
 * Over TCP each statement takes this driver about 44 ms, because it sends with a delay that waits for
 * the server's acknowledgement (it does not set TCP_NODELAY); over a unix socket 0.14 ms. Connect
 * through a unix socket (`{ host_type: "socket", hostname: "/var/run/postgresql", ... }`), or use
 * postgres.js.
 *
 * Statements are never prepared under a name, so poolers in transaction mode need no setting. Errors
 * reach the caller as the driver threw them. The client has no `listen`, because the driver has none.
 *
 * @throws {TypeError} If `makePool` is not a function without arguments. The first statement rejects
 * with one if what it returns is not a `Pool`.
 * @param makePool Makes a `Pool` of its own with each call.
 * @returns A client that the store accepts, with an `end` for the pool.
 */
export function fromDenoPostgres(makePool: () => DenoPostgresOwnedPoolLike): PoolOwningClient;
/**
 * Makes a client for the store from a Deno Postgres pool or client. A pool lends one connection per
 * statement and always gets it back; a single client runs its calls one after the other. A connection
 * that dies stays in the pool and fails the statements that are given it: prefer a function that makes
 * the pool.
 *
 * Statements are never prepared under a name, so poolers in transaction mode need no setting. Errors
 * reach the caller as the driver threw them. The client has no `listen`, because the driver has none.
 *
 * @throws {TypeError} If `poolOrClient` is neither.
 * @param poolOrClient A `Pool`, a connected `Client`, or a `PoolClient`.
 * @returns A client that the store accepts. It owns nothing: the caller ends the pool.
 */
export function fromDenoPostgres(
  poolOrClient: DenoPostgresPoolLike | DenoPostgresClientLike,
): PostgresClient;
export function fromDenoPostgres(
  source: (() => DenoPostgresOwnedPoolLike) | DenoPostgresPoolLike | DenoPostgresClientLike,
): PostgresClient {
  if (isFactory(source)) {
    const replacing = new ReplacingClient(source);
    const query: RunAlone = (text, params) => replacing.query(text, params);
    const client: PoolOwningClient & MarkedClient = {
      [RUN_ALONE]: query,
      query,
      end: () => replacing.end(),
    };
    return client;
  }
  // A client has a `connect` as well, so it is recognised by what only it has.
  if (having(source, "queryObject")) {
    const client = source as DenoPostgresClientLike;
    return { query: (text, params = []) => run(client, text, params) };
  }
  if (!having(source, "connect") || having(source, "query")) {
    throw wrongDriver(
      "Deno Postgres",
      "a function that makes a Pool, a Pool or a Client of @db/postgres",
      source,
    );
  }
  const pool = source as DenoPostgresPoolLike;
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

/** Whether a value can be called to make a pool: classes cannot, and other drivers want arguments. */
function isFactory(value: unknown): value is () => DenoPostgresOwnedPoolLike {
  return typeof value === "function" && value.length === 0 && !having(value, "unsafe") &&
    !/^class\b/.test(Function.prototype.toString.call(value));
}
