import { assert, assertEquals, assertRejects } from "@std/assert";
import { SchemaError } from "../../src/errors.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { planMigration } from "../../src/postgres/plan_migration.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

for (const open of [openPostgresJs, openNodePostgres]) {
  Deno.test(`planMigration() says what migrate would do first, and does nothing, with ${open.name}`, async () => {
    await using database = await createDatabase();
    await using driver = await open(database.url, { max: 1 });
    const { client } = driver;
    const planned = await planMigration(client, "circuits");
    assert(planned[0]!.startsWith("create table public.circuits ("), planned[0]);
    const { rows } = await client.query("select to_regclass('circuits')::text as found");
    assertEquals(rows[0]!.found, null);

    await migrate(client, "circuits");
    assertEquals(await planMigration(client, "circuits"), []);
    await client.query("drop index circuits_changes_xid_idx");
    const [index, ...more] = await planMigration(client, "circuits");
    assertEquals([/^create index .*\(xid\)/.test(index!), more], [true, []], index);
    await migrate(client, "circuits");
    assertEquals(await planMigration(client, "circuits"), []);
    const [grant] = await planMigration(client, "circuits", "pg_monitor");
    assert(grant!.startsWith("grant "), grant);
  });
}

Deno.test("planMigration() refuses what migrate refuses", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await driver.client.query("create table circuits (id int)");
  await assertRejects(
    () => planMigration(driver.client, "circuits"),
    SchemaError,
    'Cannot plan migration: the table "circuits" exists and is not a circuit breaker table',
  );
  await assertRejects(
    () => planMigration(driver.client, "nowhere.circuits"),
    SchemaError,
    'the schema of "nowhere"."circuits" does not exist',
  );
});
