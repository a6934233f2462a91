/**
 * The adapter for {@link https://github.com/porsager/postgres | postgres.js}, on Deno, Node and Bun.
 *
 * @example
 * ```ts
 * import postgres from "postgres";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
 *
 * const sql = postgres("postgres://localhost/app", {
 *   max: 4,
 *   fetch_types: false,
 *   connect_timeout: 2,
 *   connection: { statement_timeout: 1000 },
 * });
 * const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql));
 *
 * await store.close();
 * await sql.end(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import { type MarkedClient, RUN_ALONE } from "../client_traits.ts";
import type { PostgresClient } from "../types.ts";
import { bunDatabase, having, isNeon, readPrepare, wrongDriver } from "./argument.ts";
import { listenOfSql } from "./postgres_js_listener.ts";
import { runAloneOn } from "./postgres_js_sessions.ts";
import { boundReconnects, type ConnectionOptions, keepTypes } from "./reconnects.ts";

/** The part of postgres.js that the adapter uses: the `sql` that `postgres(url)` returns. */
export interface PostgresJsLike {
  /** Runs a statement given as text. */
  unsafe(
    text: string,
    params?: unknown[],
    options?: { prepare?: boolean },
  ): PromiseLike<readonly unknown[]>;
}

/** Options of {@linkcode fromPostgresJs}. */
export interface FromPostgresJsOptions {
  /**
   * Whether statements are prepared once per connection and then only executed. Switch it off
   * behind a pooler in transaction mode that does not track prepared statements (PgBouncer before
   * 1.21). It is off in any case where `postgres()` itself was called with `prepare: false`.
   *
   * @default {true}
   */
  prepare?: boolean | undefined;
}

/**
 * Makes a client for the store from postgres.js. Errors reach the caller as the driver threw them.
 *
 * Use 3.4.6 or 3.4.7 of postgres.js. After the server has terminated connections, 3.4.8 and
 * 3.4.9, the newest, fail the first statement on each new one with the old error, and on Deno leave
 * some without an end; 3.4.4 ends the process. On Bun, the driver can leave statements without an
 * answer for half a minute or more.
 *
 * Give the store a pool of its own. By default the driver sends other statements behind one that is
 * under way, which fail when the server closes that connection, and on Deno and Bun a place in the pool
 * can be lost with them. Do not set `max_pipeline: 0` against that: one `sql.begin` on such a pool
 * rejects and leaves its session in an open transaction, in which later statements seem to succeed and
 * stay invisible to all others. With 3.4.6 and 3.4.7, the library has the server close sessions that stayed read-only after a failover, from inside a
 * transaction, whose connection carries no other statement.
 *
 * The driver has no time limit for an answer. Bound what it can: `connect_timeout` in seconds, which is
 * 30 by default, and `connection: { statement_timeout: 1000 }` in milliseconds, with which the server
 * gives up what waits for a lock. Behind PgBouncer, which refuses the latter, set it on the role.
 *
 * Pass `fetch_types: false` to `postgres()`. Otherwise each connection first asks for array types,
 * and where that fails, the process ends with an error that no code can catch. Once the types are
 * known, the adapter sets that option to `false` itself, so that types which are created later are
 * learned by the next process. It also keeps the driver's waits between two attempts to connect,
 * which would grow to 20 s, below a tenth of a second, and spreads attempts that the server ends
 * without an answer, which the driver would repeat 400 times a second for each statement, to 20 a
 * second.
 *
 * The client can `listen`, on the connection that the driver opens for `sql.listen`: all subscriptions
 * of a `sql` share it, beside its pool, and it ends with the last of them or with `sql`. Listening
 * needs the server itself, or a pooler in session mode: a client that does not prepare statements has
 * no `listen`, and neither has a `sql` inside `begin` or `reserve`.
 *
 * @throws {TypeError} If `sql` is not postgres.js, or renames columns (`transform: postgres.camel`
 * and its like), which would hide from the store the columns that it reads.
 * @param sql What `postgres(url)` returns, or a `sql` inside `begin` or `reserve`.
 * @param options Whether to prepare statements.
 * @returns A client that the store accepts. It owns nothing: ending `sql` is the caller's affair.
 */
export function fromPostgresJs(
  sql: PostgresJsLike,
  options: FromPostgresJsOptions = {},
): PostgresClient {
  if (!having(sql, "unsafe") || bunDatabase(sql) !== undefined || isNeon(sql)) {
    throw wrongDriver("postgres.js", "the sql function that postgres(url) returns", sql);
  }
  if (renamesColumns(sql as Transforming)) {
    throw new TypeError(
      "Cannot wrap postgres.js: expected a sql that keeps column names, received one with a " +
        '"transform" that renames them',
    );
  }
  const prepare = readPrepare("postgres.js", options);
  const { options: driverOptions } = sql as Connecting;
  if (driverOptions !== undefined) boundReconnects(driverOptions);
  // Not prepared is for poolers in transaction mode, which pass on no notifications.
  const isPooled = !prepare || driverOptions?.prepare === false;
  const listen = isPooled ? undefined : listenOfSql(sql);
  const query: PostgresClient["query"] = async (text, params = []) => {
    if (driverOptions !== undefined) keepTypes(driverOptions);
    const how = isPooled ? POOLED : { prepare: params.length > 0 };
    const rows = await sql.unsafe(text, params, how);
    return { rows: withoutHoles(rows) as Record<string, unknown>[] };
  };
  const client: MarkedClient = {
    [RUN_ALONE]: runAloneOn(sql, query),
    ...listen && { listen },
    query,
  };
  return client;
}

/**
 * How a statement is sent through a pooler. The driver sends nothing behind a statement whose `onexecute`
 * returns `false`, as it does for statements with parameters by itself: of those it first asks the server
 * how it understands them. Behind another statement, PgBouncer takes the end of that one for the end of
 * the transaction and gives the server away before this question is answered. The answer is lost, and the
 * connection waits for it for good.
 */
const POOLED = { prepare: false, onexecute: () => false };

/**
 * Where a connection ended between a statement's rows and its end, the driver puts the rows of the
 * next statement behind as many holes.
 */
function withoutHoles(rows: readonly unknown[]): readonly unknown[] {
  return rows.length === 0 || 0 in rows ? rows : rows.filter(() => true);
}

interface Connecting {
  options?: ConnectionOptions & { prepare?: boolean };
}

interface Transforming {
  options?: { transform?: { column?: { from?: ((name: string) => string) | undefined } } };
}

function renamesColumns(sql: Transforming): boolean {
  const rename = sql.options?.transform?.column?.from;
  return typeof rename === "function" && rename("column_name") !== "column_name";
}
