import { describe } from "../describe.ts";
import { CircuitBreakerStoreError, SchemaError } from "../errors.ts";
import type { PostgresClient } from "../types.ts";
import type { TableName } from "./identifier.ts";
import { sqlStateOf } from "./sql_state.ts";

/** A row as a driver returns it. */
export type Row = Record<string, unknown>;

// The server rolled the statement back whole, so sending it again counts nothing twice.
const ROLLED_BACK: readonly (string | undefined)[] = ["40001", "40P01"];
const MAX_ATTEMPTS = 30;
const MAX_PAUSE_MS = 50;

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

/**
 * Runs one statement and returns its rows. A statement that the server rolled back for another
 * transaction's sake is sent again after a random pause; every other error is reported, because a
 * statement whose fate is unknown must not count twice.
 */
export async function execute(
  client: PostgresClient,
  table: TableName,
  action: string,
  text: string,
  params: unknown[],
): Promise<Row[]> {
  for (let attempt = 1;; attempt++) {
    try {
      return (await client.query(text, params)).rows;
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !ROLLED_BACK.includes(sqlStateOf(error))) {
        throw storeError(error, table, action);
      }
      await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE_MS));
    }
  }
}

/** A driver's error as one of ours, with what to do about it where that is known. */
export function storeError(
  cause: unknown,
  table: TableName,
  action: string,
): CircuitBreakerStoreError {
  const sqlState = sqlStateOf(cause);
  const options = { cause, sqlState };
  const message = cause instanceof Error ? cause.message : describe(cause);
  switch (sqlState) {
    case "42P01": // undefined_table
    case "3F000": // invalid_schema_name
      return new SchemaError(
        `Cannot ${action}: the table ${table.quoted} does not exist, run migrate(client, table) first`,
        options,
      );
    case "42703": // undefined_column
      return new SchemaError(
        `Cannot ${action}: the table ${table.quoted} lacks a column (${message}), run migrate(client, table)`,
        options,
      );
    case "42501": // insufficient_privilege
      return new CircuitBreakerStoreError(
        `Cannot ${action}: ${message}, grant select, insert, update, delete on ${table.quoted} to the role`,
        options,
      );
    default:
      return new CircuitBreakerStoreError(`Cannot ${action}: ${message}`, options);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
