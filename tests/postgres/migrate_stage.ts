/** What the tests of `migrate` share. */

import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import type { PostgresClient } from "../../src/types.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase, type TestDatabase } from "../support/database.ts";
import { describeSchema, unordered } from "../support/describe_table.ts";

/** The table that Stoma's own Postgres store uses, as its schema makes it. */
export const ORIGINAL_TABLE = `create table stoma_circuit_breakers (
  key text primary key,
  state text not null default 'closed',
  failure_count integer not null default 0,
  success_count integer not null default 0,
  last_failure_time bigint not null default 0,
  last_state_change bigint not null default 0
)`;

const GOLDEN: URL = new URL("../golden/schema.txt", import.meta.url);

/** The SQL that made an earlier schema of this library, as that release printed it. */
export function earlierSchema(version: 1 | 2): Promise<string> {
  return Deno.readTextFile(new URL(`../golden/schema_${version}.sql`, import.meta.url));
}

/** What all tables look like after a migration, in the default names. */
export async function golden(): Promise<string> {
  return (await Deno.readTextFile(GOLDEN)).trimEnd() + "\n";
}

/** Writes what the tables look like as the new golden dump. */
export async function updateGolden(dump: string): Promise<void> {
  await Deno.writeTextFile(GOLDEN, dump);
}

/** Throws unless the schema is right, whatever the order of the columns. */
export async function assertSchema(
  sql: postgres.Sql,
  table = "stoma_circuit_breakers",
): Promise<void> {
  assertEquals(unordered(await describeSchema(sql, table)), unordered(await golden()));
}

/** A database of its own with four connections. */
export interface Stage extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly url: string;
  readonly sql: postgres.Sql;
  readonly client: PostgresClient;
  /** Runs SQL and returns the rows as plain arrays of texts. */
  values(text: string): Promise<unknown[][]>;
}

/** Opens a database, on the server of an administrator's connection string where one is given. */
export async function openDatabase(admin?: string): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase(admin));
  const sql = cleanup.use(connect(database.url, { max: 4, fetch_types: false }));
  const kept = cleanup.move();
  return {
    database,
    url: database.url,
    sql,
    client: fromPostgresJs(sql),
    values: async (text) => Array.from(await sql.unsafe(text).values(), (row) => Array.from(row)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Runs migrations on as many connections at once, all of them connected before. */
export async function migrateAtOnce(
  url: string,
  tables: readonly string[],
  work: (client: PostgresClient, table: string) => Promise<unknown> = migrate,
): Promise<void> {
  await using drivers = new AsyncDisposableStack();
  const clients = await Promise.all(tables.map(async () => {
    const driver = drivers.use(await openPostgresJs(url, { max: 1 }));
    await driver.client.query("select 1");
    return driver.client;
  }));
  await Promise.all(clients.map((client, i) => work(client, tables[i]!)));
}
