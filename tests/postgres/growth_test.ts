import { assertEquals, assertThrows } from "@std/assert";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
} from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

/** How long what runs in the background may take. */
const SETTLED_WITHIN_MS = 20_000;

async function open() {
  const database = await createDatabase();
  const driver = await openPostgresJs(database.url, { max: 4 });
  const sql = connect(database.url);
  await migrate(driver.client);
  return {
    driver,
    sql,
    url: database.url,
    store: (options: PostgresCircuitBreakerStoreOptions) =>
      new PostgresCircuitBreakerStore(driver.client, undefined, options),
    count: async () => Number((await sql`select count(*) from stoma_circuit_breakers`)[0]!.count),
    async [Symbol.asyncDispose]() {
      await sql.end();
      await driver[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("maxCircuits bounds the table under a flood, and keeps what is busy, open or forced", async () => {
  await using db = await open();
  await using store = db.store({ maxCircuits: 1000, timeoutMs: 10_000 });
  await store.transition("/open", "open");
  await store.transition("/half-open", "half-open");
  await store.forceClosed("/forced");
  const isTrimmed = async () => await db.count() <= 1000 + 100;
  for (let round = 0; round < 40; round++) {
    await Promise.all([
      store.recordFailure("/busy"),
      ...Array.from({ length: 500 }, () => store.recordSuccess(`/random/${crypto.randomUUID()}`)),
    ]);
    // Half of the rounds do not wait for the trim: it meets new circuits while it is under way.
    if (round % 2 === 1) await until(isTrimmed, SETTLED_WITHIN_MS);
  }
  const states = await store.peek(["/open", "/half-open", "/forced", "/busy"]);
  assertEquals(states.map(({ state }) => state), ["open", "half-open", "closed", "closed"]);
  assertEquals(states[3]!.failureCount, 40);
  assertEquals((await store.list({ state: "open" })).length, 1);
});

Deno.test("without maxCircuits nothing is removed", async () => {
  await using db = await open();
  await using store = db.store({});
  await Promise.all(Array.from({ length: 1500 }, (_, i) => store.recordSuccess(`/${i}`)));
  assertEquals(await db.count(), 1500);
});

Deno.test("pruneIdleMs removes idle circuits by itself, from any number of instances", async () => {
  await using db = await open();
  await db.sql`insert into stoma_circuit_breakers (key, state, updated_at)
    select 'idle ' || i, 'closed', 1 from generate_series(1, 3000) as i`;
  await db
    .sql`insert into stoma_circuit_breakers (key, state, updated_at) values ('open', 'open', 1)`;
  await using one = db.store({ pruneIdleMs: 100 });
  await using other = db.store({ pruneIdleMs: 100 });
  await until(async () => await db.count() === 1, SETTLED_WITHIN_MS);
  await one.close();
  await other.close();
  // After close, what becomes idle stays.
  await db.sql`insert into stoma_circuit_breakers (key, updated_at) values ('later', 1)`;
  assertEquals((await one.peek("open")).state, "open");
  assertEquals(await db.count(), 2);
});

Deno.test("close waits for a pruning that is under way", async () => {
  await using db = await open();
  await db.sql`insert into stoma_circuit_breakers (key, updated_at) values ('idle', 1)`;
  const sent = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const store = new PostgresCircuitBreakerStore(
    {
      async query(text, params) {
        sent.resolve();
        await release.promise;
        return await db.driver.client.query(text, params);
      },
    },
    undefined,
    { pruneIdleMs: 20 },
  );
  await sent.promise;
  let isClosed = false;
  const closed = store.close().then(() => isClosed = true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals([isClosed, await db.count()], [false, 1]);
  release.resolve();
  await closed;
  assertEquals(await db.count(), 0);
});

Deno.test("pruneIdleMs does nothing while another instance cleans up", async () => {
  await using db = await open();
  await db.sql`insert into stoma_circuit_breakers (key, updated_at) values ('idle', 1)`;
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holder = db.sql.begin(async (transaction) => {
    await transaction`
      select from stoma_circuit_breakers_instances where id = 'token' for update`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  await using watching = await openPostgresJs(db.url, { max: 1 });
  const outcomes: unknown[] = [];
  const tried = Promise.withResolvers<void>();
  await using _store = new PostgresCircuitBreakerStore(
    {
      async query(text, params) {
        const result = await watching.client.query(text, params);
        outcomes.push(Number(result.rows[0]?.removed));
        if (outcomes.length === 3) tried.resolve();
        return result;
      },
    },
    undefined,
    { pruneIdleMs: 20 },
  );
  await tried.promise;
  assertEquals(outcomes.slice(0, 3), [0, 0, 0]);
  release.resolve();
  await holder;
  await using reader = await openPostgresJs(db.url, { max: 1 });
  await until(async () => {
    const { rows } = await reader.client.query("select from stoma_circuit_breakers");
    return rows.length === 0;
  }, SETTLED_WITHIN_MS);
});

Deno.test("prune skips a row that another transaction holds, and does not wait for it", async () => {
  await using db = await open();
  await using store = db.store({});
  await db
    .sql`insert into stoma_circuit_breakers (key, updated_at) values ('held', 1), ('free', 1)`;
  await db.sql.begin(async (transaction) => {
    await transaction`select from stoma_circuit_breakers where key = 'held' for update`;
    assertEquals(await store.prune({ idleMs: 1 }), 1);
  });
  assertEquals(await store.prune({ idleMs: 1 }), 1);
});

Deno.test("durability: relaxed records without waiting for the disk, everything else waits", async () => {
  await using db = await open();
  // The table records the server's setting at the commit of each statement.
  await db.sql.unsafe(`create table told (key text, setting text);
    create function tell() returns trigger language plpgsql as $$
    begin
      insert into told values (new.key, current_setting('synchronous_commit'));
      return null;
    end $$;
    create constraint trigger tell after insert or update on stoma_circuit_breakers
      deferrable initially deferred for each row execute function tell()`);
  const settingsSeen = async () =>
    (await db.sql`select setting from told`).map(({ setting }) => setting);
  for (const durability of ["relaxed", "default"] as const) {
    await using store = db.store({ durability });
    await db.sql`truncate told`;
    await store.recordSuccess("a");
    await store.recordFailure("a");
    await Promise.all([store.recordSuccess("a"), store.recordFailure("b")]);
    assertEquals(await settingsSeen(), Array(4).fill(durability === "relaxed" ? "off" : "on"));
    await db.sql`truncate told`;
    await store.transition("a", "open");
    await store.forceOpen("a");
    await store.release("a");
    await store.reset("a");
    await store.reset("b");
    assertEquals(await settingsSeen(), Array(5).fill("on"));
  }
  // The setting does not outlast the statement.
  const settings = await Promise.all(
    Array.from({ length: 8 }, () => db.driver.client.query("show synchronous_commit")),
  );
  assertEquals(new Set(settings.map(({ rows }) => rows[0]!.synchronous_commit)), new Set(["on"]));
});

Deno.test("constructor checks the options of growth and durability", () => {
  const client = { query: () => Promise.resolve({ rows: [] }) };
  const create = (options: Record<string, unknown>) => () =>
    new PostgresCircuitBreakerStore(client, undefined, options);
  assertThrows(create({ maxCircuits: 99 }), RangeError, "from 100");
  assertThrows(create({ maxCircuits: "1000" }), TypeError, '"maxCircuits" must be a number');
  assertThrows(create({ pruneIdleMs: 0 }), RangeError, '"pruneIdleMs" must be a positive number');
  assertThrows(
    create({ durability: "none" }),
    TypeError,
    '"default" or "relaxed", received a string of 4',
  );
  assertThrows(
    create({ onOutage: "ignore" }),
    TypeError,
    '"throw" or "local", received a string of 6',
  );
  assertThrows(create({ timeoutMs: -1 }), RangeError, '"timeoutMs" must be a positive number');
  assertThrows(create({ timeoutMs: 2 ** 31 }), RangeError, '"timeoutMs" must be at most');
});
