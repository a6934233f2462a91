import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { failureOf, oneTo } from "../conformance/session.ts";
import { openNodePostgres, openPglite, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const TABLE = "stoma_circuit_breakers";

interface Fixture extends AsyncDisposable {
  store: PostgresCircuitBreakerStore;
  query(text: string): Promise<Record<string, unknown>[]>;
}

async function open(): Promise<Fixture> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const { client } = stack.use(await openPostgresJs(database.url, { max: 2 }));
  await migrate(client);
  return {
    store: new PostgresCircuitBreakerStore(client),
    query: async (text) => (await client.query(text)).rows,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const DRIVERS = {
  "postgres.js": openPostgresJs,
  "node-postgres": openNodePostgres,
  "PGlite": () => openPglite(),
};

for (const [name, openDriver] of Object.entries(DRIVERS)) {
  Deno.test(`counters stop at the last exact number and never overflow: ${name}`, async () => {
    await using database = await createDatabase();
    await using driver = await openDriver(database.url);
    await migrate(driver.client);
    await using store = new PostgresCircuitBreakerStore(driver.client);
    const starts = [`${2 ** 31 - 1}`, `${MAX - 1}`, `${MAX}`, "9223372036854775807"];
    for (const start of starts) {
      await driver.client.query(`insert into ${TABLE} (key, state, failure_count, success_count)
        values ('${start}', 'open', ${start}, ${start})`);
      const first = Math.min(Number(start), MAX);
      const next = Math.min(first + 1, MAX);
      const read = await store.getState(start);
      assertEquals([read.failureCount, read.successCount], [first, first]);
      assertEquals((await store.recordFailure(start)).failureCount, next);
      assertEquals((await store.recordSuccess(start)).successCount, next);
      assertEquals((await store.recordSuccess(start)).successCount, Math.min(next + 1, MAX));
      assertEquals((await store.transition(start, "half-open")).failureCount, next);
      assertEquals((await store.transition(start, "closed")).failureCount, 0);
    }
  });
}

Deno.test("concurrent calls on a full counter all succeed", async () => {
  await using fixture = await open();
  await fixture.query(
    `insert into ${TABLE} (key, state, failure_count) values ('api', 'closed', ${MAX - 5})`,
  );
  const snapshots = await Promise.all(oneTo(20).map(() => fixture.store.recordFailure("api")));
  const counts = snapshots.map((each) => each.failureCount).toSorted((a, b) => a - b);
  // Calls that fill the counter in one statement may all get the full count.
  assert(counts.every((count) => count > MAX - 5 && count <= MAX), `${counts}`);
  assertEquals(counts.at(-1), MAX);
  assertEquals((await fixture.store.recordFailure("api")).failureCount, MAX);
});

Deno.test("getState reads an unknown state as closed, and transition repairs it", async () => {
  await using fixture = await open();
  await dropChecks(fixture);
  await fixture.query(`insert into ${TABLE} (key, state, failure_count, last_state_change)
    values ('api', 'ajar', 7, 1000)`);
  const { store } = fixture;
  assertEquals((await store.getState("api")).state, "closed");
  assertEquals((await store.peek(["api"]))[0]!.state, "closed");
  assertEquals((await store.list({ state: "closed" })).map((entry) => entry.state), ["closed"]);
  assertEquals(await store.list({ state: "open" }), []);
  const recorded = await store.recordFailure("api");
  assertEquals([recorded.state, recorded.failureCount], ["closed", 8]);
  const opened = await store.transition("api", "open");
  assertEquals([opened.state, opened.failureCount], ["open", 8]);
  const rows = await fixture.query(`select state from ${TABLE}`);
  assertEquals([...rows], [{ state: "open" }]);
});

Deno.test("getState reads circuits written by hand or by the original as they are", async () => {
  await using fixture = await open();
  await fixture.query(`insert into ${TABLE}
    (key, state, failure_count, success_count, last_failure_time, last_state_change)
    values ('api', 'half-open', 5, 1, 1700000000000, 1700000030000)`);
  assertEquals(await fixture.store.getState("api"), {
    state: "half-open",
    failureCount: 5,
    successCount: 1,
    lastFailureTime: 1_700_000_000_000,
    lastStateChange: 1_700_000_030_000,
  });
});

Deno.test("times are epoch milliseconds in every session time zone", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  for (const zone of ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"]) {
    await driver.client.query(`set time zone '${zone}'`);
    await driver.client.query("set datestyle = 'German, DMY'");
    const sent = Date.now();
    const { lastFailureTime } = await store.recordFailure(zone);
    const { lastStateChange } = await store.transition(zone, "open");
    const received = Date.now();
    for (const time of [lastFailureTime, lastStateChange]) {
      assertEquals(sent <= time && time <= received, true, `${zone}: ${time - sent} ms`);
    }
  }
});

Deno.test("no row holds what the caller's clock says", async () => {
  await using fixture = await open();
  const { store } = fixture;
  await store.recordFailure("api");
  await store.transition("api", "open");
  const [row] = await fixture.query(`select
    extract(epoch from clock_timestamp()) * 1000 - last_failure_time between -1 and 60000 as failed,
    extract(epoch from clock_timestamp()) * 1000 - last_state_change between -1 and 60000 as changed
    from ${TABLE}`);
  assertEquals(row, { failed: true, changed: true });
});

Deno.test("a now() that throws fails its own call only", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 2 });
  await migrate(driver.client);
  let broken = true;
  const now = () => {
    if (broken) throw new Error("no time");
    return 1000;
  };
  await using store = new PostgresCircuitBreakerStore(driver.client, TABLE, { now });
  assertEquals(String(await failureOf(() => store.recordFailure("api"))).includes("no time"), true);
  broken = false;
  assertEquals((await store.recordFailure("api")).failureCount, 1);
});

/** Removes what would keep a foreign state out, as an old or hand-made table would not have it. */
async function dropChecks(fixture: Fixture): Promise<void> {
  const rows = await fixture.query(`select conname from pg_constraint
    where conrelid = '${TABLE}'::regclass and contype = 'c'`);
  for (const { conname } of rows) {
    await fixture.query(`alter table ${TABLE} drop constraint "${conname}"`);
  }
}
