import { assert, assertEquals, assertMatch } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient, schemaSql } from "../../mod.ts";
import { failureOf } from "../conformance/session.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

/** Names that work, each with the schema and the table that they stand for. */
const NAMES: [name: string, schema: string, table: string][] = [
  ["circuits", "public", "circuits"],
  ["Circuits", "public", "Circuits"],
  ["breaker.circuits", "breaker", "circuits"],
  ["Mixed Case.Circuits", "Mixed Case", "Circuits"],
  ['"a.b"', "public", "a.b"],
  ['breaker."a.b"', "breaker", "a.b"],
  ['"Mixed Case"."a""b"', "Mixed Case", 'a"b'],
  ['a"c', "public", 'a"c'],
  ["select", "public", "select"],
  ["with space", "public", "with space"],
  ["it's", "public", "it's"],
  ["back\\slash", "public", "back\\slash"],
  ["$1", "public", "$1"],
  ["über_😀", "public", "über_😀"],
  ["x; drop table bystander; --", "public", "x; drop table bystander; --"],
  ["x'; drop table bystander; --", "public", "x'; drop table bystander; --"],
  ["$$; drop table bystander; $$", "public", "$$; drop table bystander; $$"],
  ["%I %s", "public", "%I %s"],
  ["n".repeat(63), "public", "n".repeat(63)],
  ["é".repeat(31), "public", "é".repeat(31)],
];

/** Names that cannot be a table's. */
const NOT_NAMES: unknown[] = [
  "",
  ".",
  "a.",
  ".a",
  "a..b",
  "a.b.c",
  "a.b.c.d",
  "a\0b",
  "\ud800",
  '"',
  '""',
  '"a',
  '"a"b',
  "n".repeat(64),
  "é".repeat(32),
  `${"s".repeat(64)}.a`,
  null,
  42,
  ["circuits"],
  new String("circuits"),
];

Deno.test("a table name stands for that table and no other, and cannot inject", async (t) => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 2 });
  const { client } = driver;
  await client.query("create schema breaker");
  await client.query('create schema "Mixed Case"');
  await client.query("create table bystander (id int)");
  for (const [name, schema, table] of NAMES) {
    await t.step(name, async () => {
      const before = await tables(client);
      await migrate(client, name);
      await migrate(client, name);
      const made = newIn(before, await tables(client));
      assertEquals(made.length, 4);
      assert(made.includes(`${schema} ${table}`));
      await using store = new PostgresCircuitBreakerStore(client, name);
      await store.recordFailure(name);
      assertEquals((await store.transition(name, "open")).failureCount, 1);
      assertEquals((await store.list()).map((entry) => entry.key), [name]);
      assertEquals((await store.peek([name]))[0]!.state, "open");
      await store.reset(name);
      assertEquals(await store.list(), []);
      assertEquals(newIn(before, await tables(client)), made);
    });
  }
  assert((await tables(client)).includes("public bystander"));
});

Deno.test("a name that cannot be a table's is refused before anything is sent", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  for (const name of NOT_NAMES) {
    const table = name as string;
    const calls: (() => unknown)[] = [
      () => new PostgresCircuitBreakerStore(driver.client, table),
      () => migrate(driver.client, table),
      () => schemaSql(table),
    ];
    for (const call of calls) {
      const error = await failureOf(call);
      const type = typeof name === "string" ? RangeError : TypeError;
      assert(error instanceof type, `${JSON.stringify(name)}: ${error}`);
      assertMatch(error.message, /^Cannot [^:]+: .*"table".*, received /s);
    }
  }
  assertEquals(await tables(driver.client), []);
});

Deno.test("a table is found through the search path where no schema is named", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await driver.client.query("create schema breaker");
  await driver.client.query("set search_path = breaker");
  await migrate(driver.client);
  assertEquals(await tables(driver.client), [
    "breaker stoma_circuit_breakers",
    "breaker stoma_circuit_breakers_changes",
    "breaker stoma_circuit_breakers_epoch",
    "breaker stoma_circuit_breakers_instances",
  ]);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  assertEquals((await store.recordFailure("api")).failureCount, 1);
});

Deno.test("two names that differ in case are two tables", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client, "circuits");
  await migrate(driver.client, "CIRCUITS");
  await using lower = new PostgresCircuitBreakerStore(driver.client, "circuits");
  await using upper = new PostgresCircuitBreakerStore(driver.client, "CIRCUITS");
  await lower.recordFailure("api");
  assertEquals((await upper.getState("api")).failureCount, 0);
});

async function tables(client: PostgresClient): Promise<string[]> {
  const { rows } = await client.query(`select schemaname || ' ' || tablename as name
    from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1`);
  return rows.map((row) => row.name as string);
}

function newIn(before: string[], after: string[]): string[] {
  return after.filter((name) => !before.includes(name));
}
