/**
 * What a client must do with a statement, and the errors of a client that does something else.
 */

import { describe } from "../describe.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import type { PostgresClient } from "../types.ts";

/** What to do about a client that refuses the statement itself. */
export const SEND_AS_IT_IS =
  '"client" must send the text with its $1 placeholders and the params as they are';

/** What to do about a connection that belongs to another request. */
export const CONNECT_PER_CALL =
  '"client" must connect for each call, because this runtime binds a connection to its request';

/** What to do about a connection that its program has ended. */
export const END_LATER = '"client" must end a connection only when its statement has been answered';

/** What to do about a driver that returns its rows bare. */
const WRAP = "wrap it as { query: async (text, params) => ({ rows: await run(text, params) }) }";

/**
 * The rows of what a client's `query` resolved to. A client that returns something else is wired
 * wrongly: that is no outage, and no statement of it can ever be understood.
 *
 * @throws {CircuitBreakerStoreError} If these are no rows keyed by column; it says what to do.
 */
export function rowsOf(result: unknown): Record<string, unknown>[] {
  const rows = (result as { rows?: unknown } | null | undefined)?.rows;
  if (Array.isArray(rows) && !Array.isArray(rows[0])) return rows;
  throw new CircuitBreakerStoreError(
    `Cannot read rows: "client" must resolve query(text, params) to an object with rows as objects, ` +
      `received ${receivedOf(result, rows)}`,
  );
}

/** What came instead of rows, and what to do about it. */
function receivedOf(result: unknown, rows: unknown): string {
  if (Array.isArray(rows)) {
    return "rows as arrays: switch off the driver's array mode";
  }
  if (rows !== undefined) return `"rows" that are ${describe(rows)}: ${WRAP}`;
  if (Array.isArray(result)) {
    return `an array: ${WRAP}; for Neon use fromNeon(sql)`;
  }
  if (result === undefined || result === null) {
    return `${result}: return the driver's promise, not the result of its callback form`;
  }
  return typeof result === "object"
    ? `${describe(result)} without "rows": ${WRAP}`
    : `${describe(result)}: ${WRAP}`;
}

/** Throws a TypeError unless the value can be a {@linkcode PostgresClient}. */
export function assertClient(action: string, client: unknown): asserts client is PostgresClient {
  const given = client as Partial<Record<string, unknown>> | null | undefined;
  if (typeof given?.query === "function") return;
  let hint = "pass a pg.Pool, a PGlite or the result of an adapter such as fromPostgresJs(sql)";
  if (typeof given?.unsafe === "function") {
    hint = "this looks like postgres.js or Bun SQL, pass fromPostgresJs(sql) or fromBunSql(sql)";
  } else if (typeof given?.queryObject === "function" || looksLikeDenoPool(given)) {
    hint = "this looks like Deno Postgres, pass fromDenoPostgres(poolOrClient)";
  }
  throw new TypeError(
    `Cannot ${action}: "client" must have a query(text, params) method, received ${
      describe(client)
    }: ${hint}`,
  );
}

function looksLikeDenoPool(given: Record<string, unknown> | null | undefined): boolean {
  return typeof given?.connect === "function" && "available" in given;
}
