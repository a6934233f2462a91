/**
 * The adapter for {@link https://github.com/porsager/postgres | postgres.js}, on Deno, Node and Bun.
 *
 * @example
 * ```ts
 * import postgres from "postgres";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
 *
 * const sql = postgres("postgres://localhost/app", { max: 4, fetch_types: false });
 * const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql));
 *
 * await store.close();
 * await sql.end(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import type { PostgresClient } from "../types.ts";
import { bunDatabase, having, readPrepare, wrongDriver } from "./argument.ts";
import { listenOfSql } from "./postgres_js_listener.ts";
import { capRetries, type ConnectionOptions, keepTypes } from "./reconnects.ts";

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
  prepare?: boolean;
}

/**
 * Makes a client for the store from postgres.js. Errors reach the caller as the driver threw them.
 *
 * Use 3.4.5, 3.4.6 or 3.4.7 of postgres.js. After the server has terminated connections, 3.4.8 and
 * 3.4.9, the newest, fail the first statement on each new one with the old error, and on Deno leave
 * some without an end; 3.4.4 ends the process. On Bun, the driver can leave statements without an
 * answer for half a minute or more.
 *
 * Pass `fetch_types: false` to `postgres()`. Otherwise each connection first asks for array types,
 * and where that fails, the process ends with an error that nobody can catch. Once the types are
 * known, the adapter sets that option to `false` itself, so that types which are created later are
 * learned by the next process. It also keeps the driver's waits between two attempts to connect,
 * which would grow to 20 s, below a tenth of a second.
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
  if (!having(sql, "unsafe") || bunDatabase(sql) !== undefined) {
    throw wrongDriver("postgres.js", "the sql function that postgres(url) returns", sql);
  }
  if (renamesColumns(sql as Transforming)) {
    throw new TypeError(
      "Cannot wrap postgres.js: expected a sql that keeps column names, received one with a " +
        '"transform" that renames them',
    );
  }
  const prepare = readPrepare("postgres.js", options.prepare);
  const { options: driverOptions } = sql as Connecting;
  if (driverOptions !== undefined) capRetries(driverOptions);
  // Not prepared is for poolers in transaction mode, behind which nobody hears anything.
  const isPooled = !prepare || driverOptions?.prepare === false;
  const listen = isPooled ? undefined : listenOfSql(sql);
  return {
    ...listen && { listen },
    async query(text, params = []) {
      if (driverOptions !== undefined) keepTypes(driverOptions);
      const rows = await sql.unsafe(text, params, { prepare: prepare && params.length > 0 });
      return { rows: withoutHoles(rows) as Record<string, unknown>[] };
    },
  };
}

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
