import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { contractSteps } from "./deno_steps.ts";

for (const prepare of [true, false]) {
  Deno.test(`fromPostgresJs keeps the contract with prepare ${prepare}`, async (t) => {
    await using database = await createDatabase();
    await contractSteps(t, {
      name: "postgres.js",
      prepares: prepare,
      reconnects: true,
      open: (max) => openPostgresJs(database.url, { max, prepare }),
    });
  });
}

Deno.test("fromPostgresJs prepares nothing where an option of postgres() forbids it", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url, { prepare: false });
  const client = fromPostgresJs(sql);
  await client.query("select $1::int as n", [1]);
  const { rows } = await client.query("select count(*)::int as n from pg_prepared_statements");
  assertEquals(rows[0], { n: 0 });
});

Deno.test("fromPostgresJs works without the driver's type catalogue and inside a transaction", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url, { fetch_types: false });
  await sql.begin(async (transaction) => {
    const client = fromPostgresJs(transaction);
    await client.query("do $$ begin perform set_config('app.mark', 'seen', true); end $$");
    const { rows } = await client.query(
      "select current_setting('app.mark') as mark, t as item from unnest($1::text::text[]) as t",
      ["{a}"],
    );
    assertEquals([...rows], [{ mark: "seen", item: "a" }]);
  });
});

Deno.test("fromPostgresJs passes the driver's error on", async () => {
  const thrown = new Error("from the driver");
  const client = fromPostgresJs({ unsafe: () => Promise.reject(thrown) });
  assertStrictEquals(await client.query("select 1").catch((error) => error), thrown);
});

Deno.test("fromPostgresJs refuses a sql that renames columns", () => {
  // No statement is run, so none of these opens a connection.
  const camel = postgres({ transform: postgres.camel });
  assertThrows(
    () => fromPostgresJs(camel),
    TypeError,
    'Cannot wrap postgres.js: expected a sql that keeps column names, received one with a "transform" that renames them',
  );
  fromPostgresJs(postgres({ transform: { undefined: null } }));
});
