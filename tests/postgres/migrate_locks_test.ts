import { assert, assertEquals, assertRejects } from "@std/assert";
import { StoreTimeoutError } from "../../src/errors.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { schemaSql } from "../../src/postgres/schema.ts";
import { until } from "../support/until.ts";
import {
  assertSchema,
  earlierSchema,
  migrateAtOnce,
  openDatabase,
  ORIGINAL_TABLE,
} from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";

Deno.test("migrate lets live traffic through while another transaction holds the table", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.unsafe(`insert into ${TABLE} (key) values ('k')`);
  const lockTimeoutMs = 400;
  let slowestMs = 0;
  let waits = 0;
  let migration: Promise<void> | undefined;
  await db.sql.begin(async (idle) => {
    await idle.unsafe(`select from ${TABLE}`);
    migration = migrate(db.client, TABLE, { lockTimeoutMs });
    // Two attempts of the migration hold the traffic up, and give up.
    while (waits < 2) {
      const begun = performance.now();
      await db.sql.unsafe(`update ${TABLE} set success_count = success_count + 1 where key = 'k'`);
      const ms = performance.now() - begun;
      slowestMs = Math.max(slowestMs, ms);
      if (ms > lockTimeoutMs / 4) waits++;
    }
  });
  await migration;
  await assertSchema(db.sql);
  assert(slowestMs < 2 * lockTimeoutMs, `${slowestMs} ms`);
});

Deno.test("migrate ends at its deadline, says why, and leaves nothing that waits", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.begin(async (idle) => {
    await idle.unsafe(`select from ${TABLE}`);
    const error = await assertRejects(
      () => migrate(db.client, TABLE, { timeoutMs: 700, lockTimeoutMs: 100 }),
      StoreTimeoutError,
    );
    assertEquals(
      error.message,
      `Cannot migrate: other transactions held the table "${TABLE}" for 700 ms, end those that pg_locks ` +
        "shows for it",
    );
    assertEquals(error.sqlState, "55P03");
    await until(async () =>
      (await db.values(`select 1 from pg_locks where relation = '${TABLE}'::regclass
        and not granted`)).length === 0
    );
  });
  await migrate(db.client);
});

Deno.test("migrate ends at its deadline where the database does not answer", async () => {
  const hanging = { query: () => new Promise<never>(() => {}) };
  await assertRejects(() => migrate(hanging, TABLE, { timeoutMs: 20 }), StoreTimeoutError);
});

Deno.test("migrate does not care for advisory locks of others", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(await earlierSchema(2));
  await db.sql.begin(async (stranger) => {
    // The one that migrations of schema 2 took.
    await stranger.unsafe(
      "select pg_advisory_lock(hashtextextended('@circuit-breaker/postgres', 0))",
    );
    await migrate(db.client, TABLE, { timeoutMs: 10_000 });
    await migrate(db.client, "another", { timeoutMs: 10_000 });
    await stranger.unsafe("select pg_advisory_unlock_all()");
  });
  await assertSchema(db.sql);
});

Deno.test("migrate and the printed SQL work at the same time, on nothing and on an old table", async () => {
  for (const before of ["", ORIGINAL_TABLE, await earlierSchema(2)]) {
    await using db = await openDatabase();
    if (before !== "") await db.sql.unsafe(before);
    let count = 0;
    await migrateAtOnce(db.url, Array(20).fill(TABLE), async (client) => {
      if (count++ % 2 === 0) await migrate(client);
      else await client.query(schemaSql());
    });
    await assertSchema(db.sql);
  }
});
