import {
  CircuitBreakerStoreError,
  isStoreTimeoutError,
  SchemaError,
  StoreTimeoutError,
} from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import { assertCount, assertMilliseconds, assertOptions } from "../options/check.ts";
import { withDeadline } from "../time/deadlines.ts";
import type { PostgresClient } from "../types.ts";
import { assertClient } from "./client_contract.ts";
import { parseTableName, type TableName } from "./identifier.ts";
import { parseRole } from "./migration/grants.ts";
import { REFUSALS } from "./migration/refusals.ts";
import { migrationStatement } from "./migration/statement.ts";
import { DEFAULT_LOCK_TIMEOUT_MS } from "./schema.ts";
import { sqlStateOf } from "./sql_state.ts";
import { storeError } from "./store_error.ts";

// Another migration or another session changed the same objects. The next attempt sees what it did.
const LOST_RACE: readonly (string | undefined)[] = [
  "23505", // unique_violation, in the catalogue
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "42701", // duplicate_column
  "42703", // undefined_column
  "42704", // undefined_object
  "42710", // duplicate_object
  "42723", // duplicate_function
  "42883", // undefined_function
  "42P01", // undefined_table
  "42P07", // duplicate_table
  "XX000", // "tuple concurrently updated"
];
const MAX_LOST_RACES = 20;

const LOCK_NOT_AVAILABLE = "55P03";

const ACTION = "migrate";

/** How a migration waits, and whom it serves. */
export interface MigrateOptions {
  /**
   * How long the migration may take in all, in milliseconds.
   *
   * @default {30_000}
   */
  timeoutMs?: number | undefined;
  /**
   * How long live traffic may wait for the migration at a time, in milliseconds, from 4 to 600,000. The
   * migration gives up a lock that it does not get in this time, lets the traffic through, and tries again
   * until `timeoutMs` is over. A table that must be rewritten (the original's) is locked while that lasts.
   *
   * @default {1000}
   */
  lockTimeoutMs?: number | undefined;
  /**
   * A role that gets what the store needs at run time, and nothing else: its name, literally and in its
   * case. The role must exist.
   */
  grantTo?: string | undefined;
}

/**
 * Creates the tables, or upgrades existing ones and keeps their rows: the table of Stoma's own Postgres
 * store, or those of an earlier release. It repairs what is missing or different: columns, indexes,
 * settings, the sequence after a restore. It is atomic, and takes no lock where nothing is to be done.
 * Call it at every start of every instance: any number of them may run it at once, and live traffic goes
 * on.
 *
 * To create or change anything, the role must own the tables or be allowed to create them. Where all is in
 * place, the role that the store runs as can call it too.
 *
 * @param client Where to create them.
 * @param table A table name, `table` or `schema.table`; the schema must exist.
 * @default {"stoma_circuit_breakers"}
 * @param options How long it may take, and the role of run time.
 * @throws {TypeError} If the client has no `query` method, the name is not a string, or an option has
 * a wrong type.
 * @throws {RangeError} If PostgreSQL cannot hold a name, or an option is out of its range.
 * @throws {SchemaError} If the table is newer than this release knows, is not a circuit breaker table,
 * or if others own or hold on to what has to be changed. The message says what to do.
 * @throws {StoreTimeoutError} If it does not end in time.
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
  options: MigrateOptions = {},
): Promise<void> {
  assertClient(ACTION, client);
  const name = parseTableName(ACTION, table);
  assertOptions(ACTION, options, ["timeoutMs", "lockTimeoutMs", "grantTo"]);
  const { timeoutMs = 30_000, lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS, grantTo } = options;
  assertMilliseconds(ACTION, "timeoutMs", timeoutMs);
  assertCount(ACTION, "lockTimeoutMs", lockTimeoutMs, 4, 600_000);
  const statement = migrationStatement(name, {
    lockTimeoutMs,
    grantTo: parseRole(ACTION, grantTo),
  });
  const attempts = new Attempts(client, name, statement, lockTimeoutMs);
  try {
    await withDeadline(timeoutMs, ACTION, attempts.run());
  } catch (error) {
    throw isStoreTimeoutError(error) ? attempts.timeout(error, timeoutMs) : error;
  } finally {
    attempts.stop();
  }
}

/** Sends the statement until it succeeds, fails for good, or is stopped. */
class Attempts {
  readonly #client: PostgresClient;
  readonly #table: TableName;
  readonly #statement: string;
  readonly #lockTimeoutMs: number;
  /** Why the last attempt failed, where another one followed. */
  #last: unknown;
  #endPause: () => void = () => {};
  #isStopped = false;

  constructor(client: PostgresClient, table: TableName, statement: string, lockTimeoutMs: number) {
    this.#client = client;
    this.#table = table;
    this.#statement = statement;
    this.#lockTimeoutMs = lockTimeoutMs;
  }

  async run(): Promise<void> {
    let lostRaces = 0;
    while (!this.#isStopped) {
      try {
        await this.#client.query(this.#statement);
        return;
      } catch (cause) {
        const sqlState = sqlStateOf(cause);
        const isLocked = sqlState === LOCK_NOT_AVAILABLE;
        const isLostRace = LOST_RACE.includes(sqlState) && ++lostRaces < MAX_LOST_RACES;
        if (!isLocked && !isLostRace) throw this.#errorOf(cause, sqlState);
        this.#last = cause;
        // Traffic that waited behind the lock goes on meanwhile.
        await this.#pause(
          isLocked ? this.#lockTimeoutMs * (1 + Math.random()) : 50 * Math.random(),
        );
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#endPause();
  }

  /** The error of a deadline, with what the attempts waited for. */
  timeout(error: StoreTimeoutError, timeoutMs: number): StoreTimeoutError {
    if (sqlStateOf(this.#last) !== LOCK_NOT_AVAILABLE) return error;
    return new StoreTimeoutError(
      `Cannot migrate: other transactions held the table ${this.#table.shown} for ${timeoutMs} ms, end ` +
        "those that pg_locks shows for it",
      { cause: this.#last, sqlState: LOCK_NOT_AVAILABLE },
    );
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #errorOf(cause: unknown, sqlState: string | undefined): Error {
    const { shown, hidden } = this.#table;
    const schemaError = (reason: string) =>
      new SchemaError(`Cannot migrate: ${reason}`, { cause, sqlState });
    if (sqlState !== undefined && REFUSALS.includes(sqlState)) {
      return schemaError(messageOf(cause, hidden));
    }
    if (sqlState === "3F000") {
      return schemaError(`the schema of ${shown} does not exist, create it first`);
    }
    if (sqlState === "42501") {
      return new CircuitBreakerStoreError(
        `Cannot migrate: ${
          messageOf(cause, hidden)
        }: run it as the owner of the table ${shown}, or as a ` +
          "role that may create in its schema",
        { cause, sqlState },
      );
    }
    return storeError(cause, this.#table, ACTION);
  }
}
