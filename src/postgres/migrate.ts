import { SchemaError } from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import type { PostgresClient } from "../types.ts";
import { assertClient } from "./client_contract.ts";
import { parseTableName } from "./identifier.ts";
import { FOREIGN_TABLE, migrationStatement, NEWER_SCHEMA, SCHEMA_VERSION } from "./schema.ts";
import { sqlStateOf } from "./sql_state.ts";
import { storeError } from "./store_error.ts";

// Another migration ended first in spite of the lock: a transaction isolation above read committed
// sees the catalogue as it was before it waited. The next attempt finds the work done.
const LOST_RACE: readonly (string | undefined)[] = [
  "23505", // unique_violation, in the catalogue
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "42701", // duplicate_column
  "42710", // duplicate_object
  "42723", // duplicate_function
  "42P07", // duplicate_table
  "XX000", // "tuple concurrently updated"
];
const MAX_ATTEMPTS = 10;

/**
 * Creates the table, or upgrades an existing one and keeps its rows: the table of Stoma's own
 * Postgres store, or one of an earlier release. It is atomic, and does nothing when the table is up
 * to date. Call it at every start of every instance: any number of them may run it at once.
 *
 * The role must be allowed to create the table, or to alter it. At run time the store needs only
 * SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema.
 *
 * @param client Where to create it.
 * @param table A table name, `table` or `schema.table`; the schema must exist.
 * @default {"stoma_circuit_breakers"}
 * @throws {TypeError} If the client has no `query` method or the name is not a string.
 * @throws {RangeError} If PostgreSQL cannot hold the name.
 * @throws {SchemaError} If the table is newer than this release knows, or is not a circuit breaker
 * table.
 * @throws {CircuitBreakerStoreError} If the server refuses, with its SQLSTATE.
 *
 * @example
 * ```ts
 * import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * await using store = new PostgresCircuitBreakerStore(db);
 * await store.recordFailure("api");
 * await db.close();
 * ```
 */
export async function migrate(
  client: PostgresClient,
  table = "stoma_circuit_breakers",
): Promise<void> {
  assertClient("migrate", client);
  const name = parseTableName("migrate", table);
  const statement = migrationStatement(name);
  for (let attempt = 1;; attempt++) {
    try {
      await client.query(statement);
      return;
    } catch (cause) {
      const sqlState = sqlStateOf(cause);
      if (sqlState === NEWER_SCHEMA) {
        throw new SchemaError(
          `Cannot migrate: the table ${name.shown} is of a newer release (${
            messageOf(cause)
          }), this one knows schema ${SCHEMA_VERSION}: upgrade this package`,
          { cause, sqlState },
        );
      }
      if (sqlState === FOREIGN_TABLE) {
        throw new SchemaError(
          `Cannot migrate: the table ${name.shown} exists and is not a circuit breaker table, use another name`,
          { cause, sqlState },
        );
      }
      if (sqlState === "3F000") {
        throw new SchemaError(
          `Cannot migrate: the schema of ${name.shown} does not exist, create it first`,
          { cause, sqlState },
        );
      }
      if (attempt === MAX_ATTEMPTS || !LOST_RACE.includes(sqlState)) {
        throw storeError(cause, name, "migrate");
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
    }
  }
}
