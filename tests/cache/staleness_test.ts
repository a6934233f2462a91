/** Bounded staleness on a real server: its cost, its promises, and the faults that it survives. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CircuitBreakerStoreError,
  isStoreUnavailableError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../mod.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const TABLE = "stoma_circuit_breakers";

interface Link {
  sent: string[];
  isCut: boolean;
  delayMs: number;
  inFlight: number;
}

/** Waits until a store has begun to cache, with all that it sends for it. */
async function isQuiet(link: Link): Promise<void> {
  const isRegistered = () => link.sent.some((text) => text.includes("bound_ms"));
  while (!isRegistered() || link.inFlight > 0) await pause(1);
}

async function openSite() {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client, raw } = cleanup.use(await openPostgresJs(database.url, { max: 4 }));
  await migrate(client);
  const stores = cleanup.use(new AsyncDisposableStack());
  const kept = cleanup.move();
  return {
    raw,
    client,
    url: database.url,
    /** A store, what it has sent, and switches that cut it off from its database or slow it down. */
    open(options: PostgresCircuitBreakerStoreOptions, on: PostgresClient = client) {
      const link: Link = { sent: [], isCut: false, delayMs: 0, inFlight: 0 };
      const watched: PostgresClient = {
        async query(text, params) {
          if (link.isCut) throw new Error("cut off");
          link.sent.push(text);
          link.inFlight++;
          try {
            if (link.delayMs > 0) await pause(link.delayMs);
            return await on.query(text, params);
          } finally {
            link.inFlight--;
          }
        },
      };
      const store = new PostgresCircuitBreakerStore(watched, TABLE, options);
      stores.defer(() => store.close().catch(() => {}));
      return { store, link };
    },
    async row(key: string) {
      const [row] = await raw`select * from ${raw(TABLE)} where key = ${key}`;
      return row;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("maxStalenessMs makes a busy circuit cost one statement per interval, successes included", async () => {
  await using site = await openSite();
  const maxStalenessMs = 200;
  const { store, link } = site.open({ maxStalenessMs, countWithinMs: 1500 });
  let requests = 0;
  const use = async (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end;) {
      for (let each = 0; each < 50; each++, requests++) {
        await store.getState("api");
        await store.recordSuccess("api");
      }
      await pause(2);
    }
  };
  // It begins with a few more: the log's cursor, the row of the instance, the row of the circuit.
  await use(1500);
  const { length: first } = link.sent;
  const start = performance.now();
  await use(4000);
  const intervals = (performance.now() - start) / maxStalenessMs;
  const statements = link.sent.length - first;
  // Where the server is slow, it asks twice as often, and a late answer makes a call read.
  const most = intervals * 2.5 + (performance.now() - start) / 750;
  assert(statements <= most, `${statements} statements in ${intervals} intervals`);
  assert(statements >= intervals * 0.5, `${statements} statements in ${intervals} intervals`);
  assert(requests > 10 * statements, `${requests} requests`);
  assertEquals((await store.getState("api")).successCount, requests);
  await store.close();
  assertEquals(Number((await site.row("api"))!.success_count), requests);
});

Deno.test("maxStalenessMs refuses from memory until a circuit is due, also after a claim was lost", async () => {
  await using site = await openSite();
  const rules = { resetTimeoutMs: 600, probeTimeoutMs: 1500, maxStalenessMs: 10_000 };
  const one = site.open(rules);
  const other = site.open(rules);
  await one.store.transition("api", "open");
  await other.store.getState("api");
  await isQuiet(one.link);
  await isQuiet(other.link);
  const before = one.link.sent.length + other.link.sent.length;
  for (let call = 0; call < 100; call++) {
    assertEquals((await one.store.getState("api")).state, "open");
    assertEquals((await other.store.getState("api")).state, "open");
  }
  assertEquals(one.link.sent.length + other.link.sent.length, before);
  await pause(620);
  assertEquals((await one.store.getState("api")).state, "half-open");
  const claims = other.link.sent.length;
  for (let call = 0; call < 100; call++) {
    assertEquals((await other.store.getState("api")).state, "open");
  }
  assertEquals(other.link.sent.length - claims, 1, "one claim, which is lost and remembered");
  assertEquals((await one.store.getState("api")).state, "open", "its own probe is under way");
  await one.store.transition("api", "closed");
  assertEquals((await one.store.getState("api")).state, "closed");
});

Deno.test("maxStalenessMs resolves failures, transitions, forces and resets once the database has them", async () => {
  await using site = await openSite();
  const { store } = site.open({ maxStalenessMs: 60_000 });
  await store.getState("api");
  await store.recordFailure("api");
  assertEquals(Number((await site.row("api"))!.failure_count), 1);
  await store.transition("api", "open");
  assertEquals((await site.row("api"))!.state, "open");
  await store.forceClosed("api", { reason: "drill" });
  assertEquals((await site.row("api"))!.forced_state, "closed");
  assertEquals((await store.getState("api")).state, "closed");
  await store.release("api");
  assertEquals((await store.getState("api")).state, "open");
  await store.reset("api");
  const { state, failure_count } = (await site.row("api"))!;
  assertEquals([state, Number(failure_count)], ["closed", 0]);
  assertEquals((await store.getState("api")).state, "closed");
});

Deno.test("maxStalenessMs bounds answers in an outage too: beyond it onOutage decides", async () => {
  await using site = await openSite();
  let now = 1_800_000_000_000;
  const options = { maxStalenessMs: 1000, now: () => now };
  const changes: boolean[] = [];
  const reporting = site.open({ ...options, onOutageChange: ({ isOut }) => changes.push(isOut) });
  const local = site.open({ ...options, onOutage: "local" });
  for (const { store, link } of [reporting, local]) {
    await store.recordFailure("api");
    await store.getState("idle");
    link.isCut = true;
  }
  now += 999;
  assertEquals((await reporting.store.getState("api")).failureCount, 1);
  await reporting.store.recordSuccess("api");
  assertEquals((await reporting.store.getState("api")).successCount, 1);
  now += 1;
  await assertRejects(() => reporting.store.getState("api"), StoreUnavailableError);
  await assertRejects(() => reporting.store.recordSuccess("api"), StoreUnavailableError);
  assertEquals(changes, [true]);

  // Local: goes on from what was known, and from what happened since.
  assertEquals((await local.store.getState("api")).failureCount, 2);
  await local.store.recordFailure("api");
  await local.store.transition("api", "open");
  assertEquals((await local.store.getState("api")).state, "open");

  for (const { link } of [reporting, local]) link.isCut = false;
  const isBack = async () => {
    try {
      return (await reporting.store.getState("api")).state === "closed";
    } catch (error) {
      assert(isStoreUnavailableError(error));
      return false;
    }
  };
  for (const end = performance.now() + 5000; !await isBack();) {
    assert(performance.now() < end, "the store did not come back");
    await pause(10);
  }
  for (
    const end = performance.now() + 5000;
    (await local.store.getState("api")).state === "open";
  ) {
    assert(performance.now() < end, "the local store did not come back");
    await pause(10);
  }
  // What was acknowledged before the outage was known waits until it can be counted.
  assertEquals((await reporting.store.getState("api")).successCount, 1);
  await reporting.store.close();
  assertEquals(Number((await site.row("api"))!.success_count), 1);
});

Deno.test("maxStalenessMs bounds when an instance sees a change of another", async () => {
  await using site = await openSite();
  const maxStalenessMs = 150;
  const one = site.open({ maxStalenessMs });
  const other = site.open({ maxStalenessMs });
  for (let round = 0; round < 10; round++) {
    const state = round % 2 === 0 ? "open" : "closed";
    await other.store.getState("api");
    await pause(round * 7);
    await one.store.transition("api", state);
    const moved = performance.now();
    let asked = moved;
    while ((await other.store.getState("api")).state !== state) {
      // When it was asked, because the answer itself may come late on a busy machine.
      assert(asked - moved <= maxStalenessMs, `not seen by a call after ${asked - moved} ms`);
      await pause(1);
      asked = performance.now();
    }
  }
});

Deno.test("maxStalenessMs bounds when an instance sees what plain SQL does to a state", async () => {
  await using site = await openSite();
  const maxStalenessMs = 150;
  const stores = [1, 2, 3].map(() => site.open({ maxStalenessMs }).store);
  await stores[0]!.recordFailure("api");
  for (let round = 0; round < 10; round++) {
    const state = round % 2 === 0 ? "open" : "closed";
    for (const store of stores) await store.getState("api");
    await pause(round * 7);
    await site.raw`update ${site.raw(TABLE)} set state = ${state} where key = 'api'`;
    const moved = performance.now();
    for (const store of stores) {
      let asked = performance.now();
      while ((await store.getState("api")).state !== state) {
        assert(asked - moved <= maxStalenessMs, `not seen by a call after ${asked - moved} ms`);
        await pause(1);
        asked = performance.now();
      }
    }
  }
  const logged = await site.raw`select to_state, cause from ${site.raw(`${TABLE}_changes`)}
    order by version`;
  assertEquals(
    logged.map(({ to_state, cause }) => `${to_state} by ${cause}`),
    Array.from({ length: 10 }, (_, i) => `${i % 2 === 0 ? "open" : "closed"} by external`),
  );
});

Deno.test("maxStalenessMs closes an open circuit within ten bounds after its row was deleted", async () => {
  await using site = await openSite();
  const maxStalenessMs = 100;
  const stores = [1, 2].map(() => site.open({ maxStalenessMs }).store);
  await stores[0]!.transition("api", "open");
  for (const store of stores) assertEquals((await store.getState("api")).state, "open");
  await site.raw`delete from ${site.raw(TABLE)} where key = 'api'`;
  const deleted = performance.now();
  for (const store of stores) {
    let asked = performance.now();
    while ((await store.getState("api")).state !== "closed") {
      assert(asked - deleted <= 11 * maxStalenessMs, `not seen after ${asked - deleted} ms`);
      await pause(1);
      asked = performance.now();
    }
  }
});

Deno.test("close counts waiting successes, and serves later calls", async () => {
  await using site = await openSite();
  const { store, link } = site.open({ maxStalenessMs: 60_000 });
  await store.getState("api");
  for (let each = 0; each < 7; each++) await store.recordSuccess("api");
  assertEquals(await site.row("api"), undefined);
  await Promise.all([store.close(), store.close()]);
  assertEquals(Number((await site.row("api"))!.success_count), 7);
  await store.recordSuccess("api");
  assertEquals(Number((await site.row("api"))!.success_count), 8);

  const cut = site.open({ maxStalenessMs: 60_000 });
  await cut.store.getState("api");
  await cut.store.recordSuccess("api");
  cut.link.isCut = true;
  await assertRejects(() => cut.store.close(), StoreUnavailableError);

  const dropped = site.open({ maxStalenessMs: 60_000 });
  await dropped.store.getState("api");
  await dropped.store.recordSuccess("api");
  dropped.store.destroy();
  for (const end = performance.now() + 5000; Number((await site.row("api"))!.success_count) < 9;) {
    assert(performance.now() < end, "destroy did not send it off");
    await pause(5);
  }
  assert(link.sent.length > 0);
});

Deno.test("maxStalenessMs refreshes no circuit that is out of use", async () => {
  await using site = await openSite();
  const { store, link } = site.open({ maxStalenessMs: 50 });
  await Promise.all(Array.from({ length: 20 }, (_, index) => store.getState(`${index}`)));
  await pause(600);
  const { length } = link.sent;
  await pause(300);
  assertEquals(link.sent.length, length);
});

for (
  const [name, call] of Object.entries({
    getState: (store: PostgresCircuitBreakerStore) => store.getState("api"),
    reset: (store: PostgresCircuitBreakerStore) => store.reset("api"),
    prune: (store: PostgresCircuitBreakerStore) => store.prune({ idleMs: 0 }),
  })
) {
  Deno.test(`${name} has one deadline, also while a refresh is in flight`, async () => {
    await using site = await openSite();
    const timeoutMs = 400;
    const { store, link } = site.open({ maxStalenessMs: 100, timeoutMs });
    await store.getState("api");
    await store.recordSuccess("api");
    link.delayMs = 1000;
    const { length } = link.sent;
    while (link.sent.length === length) await pause(1);
    // The answer is past the bound, and the refresh is in flight for longer than the deadline.
    await pause(110);
    const start = performance.now();
    await assertRejects(() => call(store), StoreTimeoutError);
    const took = performance.now() - start;
    assert(took < 2 * timeoutMs - 50, `took ${took} ms`);
    link.delayMs = 0;
  });
}

Deno.test("close has one deadline, also where it waits for successes that are being counted", async () => {
  await using site = await openSite();
  const timeoutMs = 400;
  const { store, link } = site.open({ maxStalenessMs: 60_000, timeoutMs, countWithinMs: 3000 });
  await store.recordFailure("api"); // so that it has a row
  await store.recordSuccess("api");
  await isQuiet(link);
  link.delayMs = 1000;
  while (!link.sent.some((text) => text.includes("left_over"))) await pause(1);
  const start = performance.now();
  // Its deadline and that of the statement end at the same moment: either is the cause.
  await assertRejects(
    () => store.close(),
    CircuitBreakerStoreError,
    "Cannot close store: 1 acknowledged successes were not counted",
  );
  const took = performance.now() - start;
  assert(took < 2 * timeoutMs - 50, `took ${took} ms`);
  link.delayMs = 0;
});

Deno.test("recordSuccess keeps successes that the server refused for a later statement", async () => {
  await using site = await openSite();
  const { store, link } = site.open({ maxStalenessMs: 60_000, countWithinMs: 3000 });
  await store.recordFailure("api");
  await store.recordSuccess("api");
  await site.raw.unsafe(`alter table ${TABLE} rename to elsewhere`);
  while (!link.sent.some((text) => text.includes("left_over"))) await pause(5);
  await pause(20);
  await site.raw.unsafe(`alter table elsewhere rename to ${TABLE}`);
  for (const end = performance.now() + 5000; Number((await site.row("api"))!.success_count) < 1;) {
    assert(performance.now() < end, "it was not counted");
    await pause(5);
  }
  await store.close();
  assertEquals(Number((await site.row("api"))!.success_count), 1);
});

Deno.test("maxStalenessMs lets a process with circuits in use end by itself", async () => {
  await using site = await openSite();
  const program = `
    import postgres from "postgres";
    import { fromPostgresJs } from "./src/adapters/postgres_js.ts";
    import { PostgresCircuitBreakerStore } from "./mod.ts";
    const sql = postgres(${JSON.stringify(site.url)}, { max: 1, fetch_types: false });
    const store = new PostgresCircuitBreakerStore({
      query: (text, params) => fromPostgresJs(sql).query(text, params),
    }, undefined, { maxStalenessMs: 600_000 });
    await store.getState("api");
    await store.recordSuccess("api");
    await sql.end();`;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--cached-only", program],
    cwd: new URL("../..", import.meta.url),
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(20_000),
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
});

for (const [name, open] of Object.entries({ openPostgresJs, openNodePostgres })) {
  Deno.test(`listen on ${name} shows changes at once, also after the listener was lost`, async () => {
    await using site = await openSite();
    await using driver = await open(site.url, { max: 2 });
    await using one = new PostgresCircuitBreakerStore(site.client, TABLE);
    await using other = new PostgresCircuitBreakerStore(driver.client, TABLE, {
      maxStalenessMs: 600_000,
    });
    const isListening = async () => {
      const [row] = await site.raw`select count(*)::int as n from pg_stat_activity
        where datname = current_database() and query like 'listen %'`;
      return row!.n > 0;
    };
    const sees = async (state: string) => {
      const start = performance.now();
      while ((await other.getState("api")).state !== state) {
        assert(performance.now() - start < 5000, `${state} was not seen`);
        await pause(1);
      }
    };
    await other.getState("api");
    for (let round = 0; round < 3; round++) {
      while (!await isListening()) await pause(5);
      await one.transition("api", "open");
      await sees("open");
      await one.transition("api", "closed");
      await sees("closed");
      await one.forceOpen("api");
      await sees("open");
      await one.reset("api");
      await sees("closed");
      // Changes that no instance listened for are found when one listens again.
      await site.raw`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query like 'listen %'`;
      await one.transition("api", "open");
      await sees("open");
      await one.reset("api");
      await sees("closed");
    }
  });
}

Deno.test("listen gets empty notifications, and none for recording", async () => {
  await using site = await openSite();
  await using driver = await openPostgresJs(site.url, { max: 1 });
  const heard: string[] = [];
  const [row] = await site.raw`select ${TABLE}::regclass::oid::text as oid`;
  const unlisten = await driver.client.listen!(`circuit_breaker_${row!.oid}`, (payload) => {
    heard.push(payload);
  });
  await using store = new PostgresCircuitBreakerStore(site.client, TABLE, { resetTimeoutMs: 1 });
  const key = `${"long ".repeat(300)}secret`;
  for (let each = 0; each < 5; each++) await store.recordFailure(key);
  await store.recordSuccess("other");
  await store.transition(key, "open");
  await store.transition(key, "open");
  await pause(5);
  assertEquals((await store.getState(key)).state, "half-open");
  await store.transition(key, "closed");
  await store.forceOpen(key);
  await store.release(key);
  await store.reset(key);
  await store.close(); // the announcements follow the changes
  await site.raw`select pg_notify(${`circuit_breaker_${row!.oid}`}, 'end')`;
  while (!heard.includes("end")) await pause(2);
  const announced = heard.slice(0, -1);
  assert(announced.length >= 1 && announced.length <= 6, `${announced.length} notifications`);
  assert(announced.every((payload) => payload === ""), "they say no more than when to look");
  await unlisten();
});

Deno.test("maxStalenessMs lets instances count the same circuits without waiting or loss", async () => {
  await using site = await openSite();
  const keys = Array.from({ length: 300 }, (_, index) => `circuit ${index}`);
  const stores = Array.from(
    { length: 6 },
    () => site.open({ maxStalenessMs: 1000, timeoutMs: 30_000, countWithinMs: 2000 }).store,
  );
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await Promise.all(stores.map((store) => Promise.all(keys.map((key) => store.getState(key)))));
  await stores[0]!.recordFailure("circuit 7");
  const holder = site.raw.begin(async (sql) => {
    await sql`select from stoma_circuit_breakers where key = 'circuit 7' for update`;
    locked.resolve();
    await release.promise;
  });
  holder.catch(() => {}); // where an assertion fails first
  await locked.promise;
  let successes = 0;
  // While one row is held, all others are counted.
  const countedOthers = async () => {
    const [row] = await site.raw`select count(*)::int as n from stoma_circuit_breakers
      where success_count >= ${stores.length}`;
    return row!.n === keys.length - 1;
  };
  for (const end = performance.now() + 30_000; !await countedOthers(); successes++) {
    assert(performance.now() < end, "a row that is held keeps others from being counted");
    for (const store of stores) {
      for (const key of keys) await store.recordSuccess(key);
    }
    await pause(100);
  }
  release.resolve();
  await holder;
  await Promise.all(stores.map((store) => store.close()));
  const [sum] = await site.raw`select sum(success_count)::int as n, min(success_count)::int as least
    from stoma_circuit_breakers`;
  const each = successes * stores.length;
  assertEquals([sum!.n, sum!.least], [each * keys.length, each]);
});
