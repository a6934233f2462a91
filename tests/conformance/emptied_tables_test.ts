import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { countQueries, EmptiedTables } from "./emptied_tables.ts";

/** What a store leaves in a table, beside the ids of its rows. */
async function contentsOf(client: PostgresClient, table: string): Promise<unknown[]> {
  const contents: unknown[] = [];
  for (const part of ["", "_changes", "_instances"]) {
    contents.push((await client.query(`select * from ${table}${part}`)).rows);
  }
  const next = `select nextval('${table}_versions')::text as version`;
  contents.push((await client.query(next)).rows);
  const epoch = await client.query(`select count(*)::text as count from ${table}_epoch`);
  return [...contents, epoch.rows];
}

Deno.test("EmptiedTables gives a used table again as a migration leaves a new one", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const { client } = driver;
  const tables = new EmptiedTables(client, (table) => migrate(client, table));
  const table = await tables.take();
  {
    await using store = new PostgresCircuitBreakerStore(client, table, {
      maxStalenessMs: 50,
      failureThreshold: 1,
      failureWindowMs: 60_000,
    });
    await store.recordFailure("api");
    await store.recordSuccess("other");
    await store.forceOpen("third");
    await store.reset("api");
  }
  // A flush and pruning write the token's row.
  await client.query(
    `update ${table}_instances set label = 'x', bound_ms = 1, seen_at = 1, flush = 1,
      left_over = '{x}', pruned_xid = '1'`,
  );
  tables.giveBack(table);
  assertEquals(tables.next, table);
  assertEquals(await tables.take(), table);
  const another = await tables.take();
  assert(another !== table);
  assertEquals(await contentsOf(client, table), await contentsOf(client, another));
});

Deno.test("EmptiedTables gives no table away that was not given back", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const { client } = driver;
  const tables = new EmptiedTables(client, (table) => migrate(client, table));
  const taken = await Promise.all([tables.take(), tables.take(), tables.take()]);
  assertEquals(new Set(taken).size, 3);
});

Deno.test("countQueries waits for statements whose answers were given up", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const { client } = driver;
  await client.query("create table held (one int); insert into held values (1)");
  const counted = countQueries(client);
  await counted.idle();
  const blocker = await driver.raw.reserve();
  await blocker`begin`;
  await blocker`lock table held`;
  const given = counted.client.query("update held set one = 2");
  let isIdle = false;
  const idle = counted.idle().then(() => isIdle = true);
  await client.query("select 1");
  assertEquals(isIdle, false);
  await blocker`commit`;
  blocker.release();
  await Promise.all([given, idle]);
  assertEquals((await client.query("select one from held")).rows[0], { one: 2 });
});
