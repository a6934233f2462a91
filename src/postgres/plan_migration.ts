import { messageOf } from "../foreign_message.ts";
import { CircuitBreakerStoreError, SchemaError } from "../errors.ts";
import type { PostgresClient } from "../types.ts";
import { parseTableName } from "./identifier.ts";
import { parseRole } from "./migration/grants.ts";
import { REFUSALS } from "./migration/refusals.ts";
import { migrationStatement, PLANNED } from "./migration/statement.ts";
import { DEFAULT_LOCK_TIMEOUT_MS } from "./schema.ts";
import { sqlStateOf } from "./sql_state.ts";
import { storeError } from "./store_error.ts";

const ACTION = "plan migration";

/**
 * What `migrate` would do first, as SQL statements for people: empty where everything is in place. What
 * follows from these statements is not in it yet. It changes nothing and takes no lock.
 *
 * @throws {SchemaError} What `migrate` would throw.
 * @throws {CircuitBreakerStoreError} If the database cannot be asked.
 */
export async function planMigration(
  client: PostgresClient,
  table: string,
  grantTo?: string | undefined,
): Promise<string[]> {
  const name = parseTableName(ACTION, table);
  const statement = migrationStatement(name, {
    lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS,
    grantTo: parseRole(ACTION, grantTo),
    isDryRun: true,
  });
  try {
    await client.query(statement);
    return [];
  } catch (cause) {
    const sqlState = sqlStateOf(cause);
    const options = { cause, sqlState };
    if (sqlState === PLANNED) return plannedIn(cause);
    if (sqlState !== undefined && REFUSALS.includes(sqlState)) {
      throw new SchemaError(`Cannot ${ACTION}: ${messageOf(cause, name.hidden)}`, options);
    }
    if (sqlState === "3F000") {
      throw new SchemaError(
        `Cannot ${ACTION}: the schema of ${name.shown} does not exist, create it first`,
        options,
      );
    }
    throw storeError(cause, name, ACTION);
  }
}

function plannedIn(cause: unknown): string[] {
  const { message } = cause as { message?: unknown };
  try {
    const planned: unknown = JSON.parse(String(message).slice(String(message).indexOf("[")));
    if (Array.isArray(planned)) return planned.map(String);
  } catch {
    // A driver that changes the server's messages.
  }
  throw new CircuitBreakerStoreError(`Cannot ${ACTION}: the driver changed the server's message`);
}
