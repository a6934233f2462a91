/**
 * The adapter for {@link https://bun.com/docs/runtime/sql | Bun.SQL}, Bun's own driver.
 *
 * @example
 * ```ts ignore
 * import { SQL } from "bun";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromBunSql } from "@circuit-breaker/postgres/bun-sql";
 *
 * const sql = new SQL("postgres://localhost/app", { max: 4 });
 * const store = new PostgresCircuitBreakerStore(fromBunSql(sql));
 *
 * await store.close();
 * await sql.close(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import { type MarkedClient, RUN_ALONE } from "../client_traits.ts";
import type { PostgresClient } from "../types.ts";
import { bunDatabase, having, isNeon, wrongDriver } from "./argument.ts";
import { listenOfBun } from "./bun_sql_listener.ts";

/** The part of Bun's `SQL` that the adapter uses. */
export interface BunSqlLike {
  /** Runs a statement given as text. */
  unsafe(text: string, values?: unknown[]): PromiseLike<readonly unknown[]>;
}

/**
 * Makes a client for the store from Bun's own driver. Errors reach the caller as Bun threw them; the
 * SQLSTATE is in their `errno`.
 *
 * Bun prepares all statements of an `SQL` or none, as its option says; by default it does. Behind
 * a pooler in transaction mode that does not track prepared statements (PgBouncer before 1.21), use
 * `new SQL(url, { prepare: false })`.
 *
 * The client can `listen` where Bun's `sql.listen` is there, as in 1.4.5: all subscriptions of a `SQL`
 * share a connection beside its pool. Listening needs the server itself, or a pooler in session mode.
 *
 * @throws {TypeError} If `sql` is not Bun's `SQL`, or is one for MySQL or SQLite.
 * @param sql A `SQL`, Bun's default `sql`, or the one inside `begin` or `reserve`.
 * @returns A client that the store accepts. It owns nothing: closing `sql` is the caller's affair.
 */
export function fromBunSql(sql: BunSqlLike): PostgresClient {
  // postgres.js has an `unsafe` as well, and a `typed` that Bun has not.
  const database = bunDatabase(sql) ?? "postgres";
  if (!having(sql, "unsafe") || having(sql, "typed") || isNeon(sql) || database !== "postgres") {
    throw wrongDriver("Bun.SQL", "a SQL of Bun for PostgreSQL", sql);
  }
  const listen = listenOfBun(sql);
  const query: PostgresClient["query"] = async (text, params = []) => {
    const rows = await sql.unsafe(text, params);
    return { rows: rows as Record<string, unknown>[] };
  };
  const client: MarkedClient = {
    // Bun may send others behind it, which fail with it: two at most were seen.
    [RUN_ALONE]: isPool(sql) ? query : undefined,
    ...listen && { listen },
    query,
  };
  return client;
}

/** Whether it is a pool: what `reserve` hands out has a `release`, what `begin` does a `savepoint`. */
function isPool(sql: BunSqlLike): boolean {
  return bunDatabase(sql) === "postgres" && !having(sql, "release") && !having(sql, "savepoint");
}
