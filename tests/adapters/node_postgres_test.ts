import { assertEquals, assertStrictEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { openNodePostgres } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { contractSteps } from "./deno_steps.ts";

for (const prepare of [true, false]) {
  Deno.test(`fromNodePostgres keeps the contract with prepare ${prepare}`, async (t) => {
    await using database = await createDatabase();
    await contractSteps(t, {
      name: "node-postgres",
      prepares: prepare,
      reconnects: true,
      open: (max) => openNodePostgres(database.url, { max, prepare }),
    });
  });
}

Deno.test("a bare pg.Pool keeps the contract", async (t) => {
  await using database = await createDatabase();
  await contractSteps(t, {
    name: "pg.Pool",
    prepares: false,
    reconnects: true,
    async open(max) {
      const driver = await openNodePostgres(database.url, { max });
      return {
        client: driver.raw,
        [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
      };
    },
  });
});

Deno.test("fromNodePostgres keeps the contract on a single pg.Client", async (t) => {
  await using database = await createDatabase();
  await contractSteps(t, {
    name: "pg.Client",
    prepares: true,
    reconnects: false,
    async open() {
      const raw = new pg.Client({ connectionString: database.url });
      await raw.connect();
      return { client: fromNodePostgres(raw), [Symbol.asyncDispose]: () => raw.end() };
    },
  });
});

Deno.test("fromNodePostgres: adapters on one connection agree on names, texts never share one", async () => {
  await using database = await createDatabase();
  await using driver = await openNodePostgres(database.url, { max: 1 });
  // Alike for longer than a name can be, as the statements for two tables are.
  const long = "select " + "1 + ".repeat(200);
  const texts = [`${long}$1::int as n`, `${long}$1::int  as n`, "select $1::int as é"];
  for (const client of [driver.client, fromNodePostgres(driver.raw)]) {
    for (const text of texts) await client.query(text, [1]);
  }
  const { rows } = await driver.raw.query(
    "select statement, length(name) <= 63 as fits from pg_prepared_statements",
  );
  assertEquals(rows.length, texts.length);
  assertEquals(new Set(rows.map(({ statement }) => statement)), new Set(texts));
  assertEquals(rows.every(({ fits }) => fits), true);
});

Deno.test("fromNodePostgres passes the driver's error on", async () => {
  const thrown = new Error("from the driver");
  const client = fromNodePostgres({
    connect: () => Promise.resolve(),
    query: () => Promise.reject(thrown),
  });
  assertStrictEquals(await client.query("select $1", [1]).catch((error) => error), thrown);
});
