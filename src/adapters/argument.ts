/**
 * What the adapters say about arguments they cannot use.
 *
 * @module
 */

import { describe, describeObject } from "../describe.ts";
import { assertOptions } from "../option_names.ts";

/** What else Bun's SQL can be for. */
const OTHERS: readonly string[] = ["mysql", "mariadb", "sqlite"];

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

/** Whether `value` is the function of Neon's driver, which has an `unsafe` as other drivers do. */
export function isNeon(value: unknown): boolean {
  return typeof value === "function" && having(value, "query", "transaction");
}

/** The error for an argument that is not the driver's object; `expected` says what to pass. */
export function wrongDriver(driver: string, expected: string, received: unknown): TypeError {
  return new TypeError(`Cannot wrap ${driver}: expected ${expected}, received ${name(received)}`);
}

/** Checks the options of an adapter. Returns `prepare`, `true` where it is not given. */
export function readPrepare(driver: string, options: { prepare?: unknown }): boolean {
  assertOptions(`wrap ${driver}`, options, ["prepare"]);
  const { prepare } = options;
  if (prepare === undefined) return true;
  if (typeof prepare === "boolean") return prepare;
  throw new TypeError(
    `Cannot wrap ${driver}: "prepare" must be a boolean, received ${describe(prepare)}`,
  );
}

/** Names what was received, and the adapter for it where that is known. */
function name(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (isNeon(value)) return "the sql function of Neon (use fromNeon)";
  if (having(value, "queryObject")) return "a Deno Postgres client (use fromDenoPostgres)";
  const database = bunDatabase(value);
  if (database === "postgres") return "Bun's SQL (use fromBunSql)";
  if (database !== undefined) {
    return `Bun's SQL for ${OTHERS.includes(database) ? database : "another database"}`;
  }
  if (having(value, "unsafe")) return "the sql function of postgres.js (use fromPostgresJs)";
  if (having(value, "query", "exec")) return "a PGlite (use fromPglite)";
  if (having(value, "query", "connect")) {
    return "a node-postgres pool or client (use fromNodePostgres)";
  }
  if (having(value, "query")) return "a PostgresClient, which needs no adapter";
  if (typeof value === "string") return describe(value);
  return typeof value === "object" ? describeObject(value) : `a ${typeof value}`;
}
