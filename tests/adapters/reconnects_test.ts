import { assert, assertEquals, assertRejects } from "@std/assert";
import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import {
  boundReconnects,
  type ConnectionOptions,
  keepTypes,
} from "../../src/adapters/reconnects.ts";
import { connect, createDatabase } from "../support/database.ts";

/** The options that the driver itself reads. */
function optionsOf(sql: postgres.Sql): ConnectionOptions {
  return sql.options as unknown as ConnectionOptions;
}

Deno.test("fromPostgresJs keeps the driver's waits short while nothing listens, for every caller", async () => {
  const sql = postgres("postgres://127.0.0.1:1/nothing", { max: 1 });
  const client = fromPostgresJs(sql);
  const start = performance.now();
  for (let attempt = 0; attempt < 6; attempt++) {
    await assertRejects(() => client.query("select 1"));
    await assertRejects(() => sql.unsafe("select 1"));
    assert(optionsOf(sql).shared!.retries! <= 2);
  }
  assertEquals(optionsOf(sql).shared!.retries, 2);
  // Twelve attempts alone would have waited for more than a minute.
  assert(performance.now() - start < 20_000);
  await sql.end({ timeout: 0 });
});

Deno.test("fromPostgresJs returns whole results after a connection ended in a result", async () => {
  await using database = await createDatabase();
  const { promise: isClosed, resolve: onclose } = Promise.withResolvers<unknown>();
  await using sql = connect(database.url, { onclose });
  const client = fromPostgresJs(sql);
  await assertRejects(() => client.query("select pg_terminate_backend(pg_backend_pid())"));
  await isClosed;
  const { rows } = await client.query("select 1 as n union all select 2 order by n");
  assertEquals([...rows], [{ n: 1 }, { n: 2 }]);
});

Deno.test("fromPostgresJs asks for array types once, and keeps them", async () => {
  await using database = await createDatabase();
  const { promise: isClosed, resolve: onclose } = Promise.withResolvers<unknown>();
  await using sql = connect(database.url, { onclose });
  const client = fromPostgresJs(sql);
  assertEquals(optionsOf(sql).fetch_types, true);
  await client.query("select 1");
  await assertRejects(() => client.query("select pg_terminate_backend(pg_backend_pid())"));
  await isClosed;
  assertEquals(optionsOf(sql).fetch_types, false);
  // Without the types, the driver cannot send an array.
  const { rows } = await client.query("select $1::text[] as list", [["a", "b"]]);
  assertEquals([...rows], [{ list: ["a", "b"] }]);
});

Deno.test("keepTypes leaves types alone that are not known yet", () => {
  const options: ConnectionOptions = { fetch_types: true, shared: { typeArrayMap: {} } };
  keepTypes(options);
  assertEquals(options.fetch_types, true);
});

Deno.test("boundReconnects bounds what is there and what comes, and may be asked twice", () => {
  const shared = { retries: 9 };
  const options = { shared };
  boundReconnects(options);
  boundReconnects(options);
  assertEquals(shared.retries, 2);
  shared.retries = 0;
  shared.retries++;
  assertEquals(shared.retries, 1);
  shared.retries = 20;
  assertEquals(shared.retries, 2);
});
