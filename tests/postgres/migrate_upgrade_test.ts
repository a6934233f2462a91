import { assert, assertEquals, assertRejects } from "@std/assert";
import { SchemaError } from "../../src/errors.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { describeSchema } from "../support/describe_table.ts";
import { loadStomaAdapters } from "../support/stoma.ts";
import {
  assertSchema,
  earlierSchema,
  golden,
  migrateAtOnce,
  openDatabase,
  ORIGINAL_TABLE,
  type Stage,
} from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";
const MINUTE = 60_000;

Deno.test("migrate upgrades the original table to the same schema and keeps its rows", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.unsafe(`insert into ${TABLE} values
    ('down', 'open', 5, 2147483647, 1700000000000, 1700000000001), ('up', 'closed', 0, 9, 0, 3)`);
  await migrate(db.client);
  assertEquals(await describeSchema(db.sql), await golden());
  assertEquals(
    await db.values(`select key, state, failure_count::text, success_count::text,
      last_failure_time::text, last_state_change::text, version::text, logged_state, opened_at::text
      from ${TABLE} order by key`),
    [
      [
        "down",
        "open",
        "5",
        "2147483647",
        "1700000000000",
        "1700000000001",
        "0",
        "open",
        "1700000000001",
      ],
      ["up", "closed", "0", "9", "0", "3", "0", "closed", "0"],
    ],
  );
});

Deno.test("migrate forgets the failures of the original's closed circuits unless they are recent", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  const now = Date.now();
  await db.sql.unsafe(`insert into ${TABLE} (key, state, failure_count, last_failure_time) values
    ('old', 'closed', 3072, ${now - 11 * MINUTE}), ('recent', 'closed', 4, ${now - 9 * MINUTE}),
    ('never', 'closed', 2, 0), ('open', 'open', 6, ${now - 11 * MINUTE})`);
  await migrate(db.client);
  const counts = `select key, failure_count::text from ${TABLE} order by key`;
  const expected = [["never", "0"], ["old", "0"], ["open", "6"], ["recent", "4"]];
  assertEquals(await db.values(counts), expected);
  // The next migration finds no table of the original any more.
  await db.sql.unsafe(`update ${TABLE} set failure_count = 7 where key = 'old'`);
  await migrate(db.client);
  expected[1] = ["old", "7"];
  assertEquals(await db.values(counts), expected);
});

Deno.test("migrate gives the time to rows that the original store made", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.unsafe(`insert into ${TABLE} (key) values ('before')`);
  await migrate(db.client);
  await db.sql.unsafe(`insert into ${TABLE} (key) values ('after')`);
  await db.sql.begin(async (other) => {
    // The migration leaves locked rows to the next one and waits for none.
    await other.unsafe(`insert into ${TABLE} (key) values ('uncommitted')`);
    await migrate(db.client, TABLE, { timeoutMs: 5000 });
  });
  const [age] = await db.values(
    `select max(abs(extract(epoch from now()) * 1000 - updated_at)) < 60000
    from ${TABLE} where key <> 'uncommitted'`,
  );
  assertEquals(age, [true]);
});

for (const version of [1, 2] as const) {
  Deno.test(`migrate upgrades schema ${version} and keeps its rows`, async () => {
    await using db = await openDatabase();
    await db.sql.unsafe(await earlierSchema(version));
    const now = Date.now();
    await db.sql.unsafe(`insert into ${TABLE} (key, state, failure_count, success_count,
        last_failure_time, last_state_change, version, forced_state, forced_until, updated_at)
      values ('a', 'open', 5, 2, 11, 12, 41, null, null, 13),
        ('b', 'closed', 3, 9, 11, 0, 7, 'open', ${now + 10 * MINUTE}, 13),
        ('c', 'half-open', 0, 0, 11, 15, 3, 'open', ${now - 10 * MINUTE}, 13),
        ('d', 'odd', 0, 0, 11, 15, 3, null, null, 13)`);
    const kept =
      `select key, state, failure_count::text, success_count::text, last_failure_time::text,
      last_state_change::text, version::text, forced_state, forced_until::text, updated_at::text
      from ${TABLE} order by key`;
    const rows = await db.values(kept);
    await migrate(db.client);
    await assertSchema(db.sql);
    assertEquals(await db.values(kept), rows);
    assertEquals(
      await db.values(`select key, logged_state, opened_at::text from ${TABLE} order by key`),
      [["a", "open", "12"], ["b", "open", "0"], ["c", "half-open", "15"], ["d", "closed", "0"]],
    );
    assertEquals(await db.values(`select nextval('${TABLE}_versions')::text`), [["42"]]);
    assertEquals(await leftovers(db), []);
  });

  Deno.test(`migrate upgrades schema ${version} under 20 instances that start at once`, async () => {
    await using db = await openDatabase();
    await db.sql.unsafe(await earlierSchema(version));
    await db.sql.unsafe(`insert into ${TABLE} (key, failure_count) values ('k', 7)`);
    await migrateAtOnce(db.url, Array(20).fill(TABLE));
    await assertSchema(db.sql);
    assertEquals(await db.values(`select key, failure_count::text from ${TABLE}`), [["k", "7"]]);
  });
}

/** Triggers and functions that are no extension's. */
async function leftovers(db: Stage): Promise<unknown[][]> {
  return await db.values(`select tgname::text from pg_trigger where not tgisinternal union all
    select oid::regprocedure::text from pg_proc where pronamespace >= 16384 or
      pronamespace = 'public'::regnamespace`);
}

Deno.test("migrate drops the function of schema 2 with the last table that used it", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(await earlierSchema(2));
  await db.sql.unsafe((await earlierSchema(2)).replaceAll(TABLE, "second"));
  await migrate(db.client);
  assertEquals((await leftovers(db)).length, 4);
  await db.sql.unsafe("create schema ops; alter table second set schema ops");
  await migrate(db.client, "ops.second");
  assertEquals(await leftovers(db), []);
  await assertSchema(db.sql, "ops.second");
});

Deno.test("migrate drops no function of that name that is not the one of schema 2", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(`create function circuit_breaker_changed() returns trigger language plpgsql
    as 'begin return new; end'`);
  await migrate(db.client);
  assertEquals(await leftovers(db), [["circuit_breaker_changed()"]]);
});

Deno.test("migrate keeps a column that a user named changes", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.unsafe(`alter table ${TABLE} add changes text default 'mine'`);
  await db.sql.unsafe(`insert into ${TABLE} (key) values ('k')`);
  await migrate(db.client);
  await migrate(db.client);
  assertEquals(await db.values(`select changes from ${TABLE}`), [["mine"]]);
});

Deno.test("migrate says which views must go, and is atomic", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql.unsafe(`create view dashboard as select failure_count from ${TABLE}`);
  const before = await db.values("select oid::text, xmin::text from pg_class order by oid");
  const error = await assertRejects(() => migrate(db.client), SchemaError);
  assertEquals(
    error.message,
    `Cannot migrate: the table "${TABLE}" must change, and views of others hold on to it ("dashboard"): ` +
      "drop them, migrate, and make them again",
  );
  assertEquals(await db.values("select oid::text, xmin::text from pg_class order by oid"), before);
  await db.sql.unsafe("drop view dashboard");
  await migrate(db.client);
  // A view that stands on the migrated table hinders no migration.
  await db.sql.unsafe(`create view dashboard as select failure_count from ${TABLE}`);
  await migrate(db.client);
});

Deno.test("migrate upgrades the original table under the traffic of the original store", async () => {
  const { POSTGRES_SCHEMA_SQL, PostgresCircuitBreakerStore } = await loadStomaAdapters();
  await using db = await openDatabase();
  await db.sql.unsafe(POSTGRES_SCHEMA_SQL);
  const store = new PostgresCircuitBreakerStore(db.client, TABLE);
  let isMigrated = false;
  let [successes, failures, after] = [0, 0, 0];
  let slowestMs = 0;
  const traffic = Array.from({ length: 3 }, async (_, i) => {
    for (let n = 0; after < 300; n++) {
      const begun = performance.now();
      if (i === 0) {
        await store.recordFailure("failing");
        failures++;
      } else {
        await store.recordSuccess("well");
        successes++;
      }
      if (n % 10 === 0) assertEquals((await store.getState("well")).state, "closed");
      slowestMs = Math.max(slowestMs, performance.now() - begun);
      if (isMigrated) after++;
    }
  });
  while (successes < 50) await db.sql`select pg_sleep(0.001)`;
  await migrateAtOnce(db.url, Array(5).fill(TABLE));
  isMigrated = true;
  await Promise.all(traffic);
  await assertSchema(db.sql);
  assertEquals(
    await db.values(
      `select key, failure_count::text, success_count::text from ${TABLE} order by key`,
    ),
    [["failing", `${failures}`, "0"], ["well", "0", `${successes}`]],
  );
  assert(slowestMs < 2000, `${slowestMs} ms`);
});
