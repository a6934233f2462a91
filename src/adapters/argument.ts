/**
 * What the adapters say about arguments they cannot use.
 *
 * @module
 */

import { describe } from "../describe.ts";

/** Whether `value` has all the named methods. */
export function having(value: unknown, ...methods: string[]): boolean {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function");
}

/** The database that a `SQL` of Bun speaks to, `undefined` for anything that is not Bun's. */
export function bunDatabase(value: unknown): string | undefined {
  if (!having(value, "unsafe")) return undefined;
  const adapter = (value as { options?: { adapter?: unknown } }).options?.adapter;
  return typeof adapter === "string" ? adapter : undefined;
}

/** The error for an argument that is not the driver's object; `expected` says what to pass. */
export function wrongDriver(driver: string, expected: string, received: unknown): TypeError {
  return new TypeError(`Cannot wrap ${driver}: expected ${expected}, received ${name(received)}`);
}

/** Returns the `prepare` option, `true` where it is not given. */
export function readPrepare(driver: string, prepare: unknown): boolean {
  if (prepare === undefined) return true;
  if (typeof prepare === "boolean") return prepare;
  throw new TypeError(
    `Cannot wrap ${driver}: "prepare" must be a boolean, received ${describe(prepare)}`,
  );
}

/** Names a value without printing it: a string is most likely a URL with a password in it. */
function name(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (having(value, "queryObject")) return "a Deno Postgres client (use fromDenoPostgres)";
  const database = bunDatabase(value);
  if (database === "postgres") return "Bun's SQL (use fromBunSql)";
  if (database !== undefined) return `Bun's SQL for ${database}`;
  if (having(value, "unsafe")) return "the sql function of postgres.js (use fromPostgresJs)";
  if (having(value, "query", "exec")) return "a PGlite (use fromPglite)";
  if (having(value, "query", "connect")) {
    return "a node-postgres pool or client (use fromNodePostgres)";
  }
  if (having(value, "query")) return "a PostgresClient, which needs no adapter";
  if (typeof value !== "object") return `a ${typeof value}`;
  const constructor = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof constructor === "string" && constructor !== "Object"
    ? `an instance of ${constructor}`
    : "an object";
}
