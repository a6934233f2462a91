import { assert, assertEquals, assertRejects } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, StoreOverloadError } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { randomOf } from "../support/random.ts";

type Store = PostgresCircuitBreakerStore;

/** Several instances, each with a pool of its own, on one table. */
async function openInstances(count: number) {
  const database = await createDatabase();
  const drivers = await Promise.all(
    Array.from({ length: count }, () => openPostgresJs(database.url, { max: 4 })),
  );
  await migrate(drivers[0]!.client);
  return {
    url: database.url,
    stores: drivers.map((driver) => new PostgresCircuitBreakerStore(driver.client)),
    async [Symbol.asyncDispose]() {
      for (const driver of drivers) await driver[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/**
 * What a key's calls in one round returned, held against every serial order in which they could
 * have taken effect: without a clearing call the counts go on from the base, each once; with one,
 * some go on from the base and the rest start from one.
 */
function assertSerial(base: number, counts: number[], isCleared: boolean, hint: string): void {
  const sorted = ascending(counts);
  const orders = isCleared
    ? range(0, counts.length + 1).map((before) =>
      ascending([...range(base + 1, before), ...range(1, counts.length - before)])
    )
    : [range(base + 1, counts.length)];
  assert(
    orders.some((order) => order.every((count, i) => count === sorted[i])),
    `${hint}: no serial order gives ${sorted} from ${base}`,
  );
}

Deno.test("Dispatcher: random concurrent calls of several instances have a serial order", async () => {
  await using instances = await openInstances(3);
  const { stores } = instances;
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 1_000_000);
  const random = randomOf(seed);
  const keys = ["a", "b", "c", "long/".repeat(300)];
  const model = new Map(keys.map((key) => [key, { failures: 0, successes: 0 }]));

  for (let round = 0; round < 60; round++) {
    const hint = `seed ${seed}, round ${round}`;
    const cleared = random() < 0.3 ? keys[Math.floor(random() * keys.length)]! : undefined;
    const returned = new Map(keys.map((key) => [key, { failures: [0], successes: [0] }]));
    for (const lists of returned.values()) lists.failures.length = lists.successes.length = 0;

    const failAndRead = async (store: Store, reader: Store, key: string) => {
      const { failureCount } = await store.recordFailure(key);
      returned.get(key)!.failures.push(failureCount);
      // Acknowledged means committed: every instance sees it from now on.
      const seen = await reader.getState(key);
      if (key !== cleared) assert(seen.failureCount >= failureCount, hint);
    };
    const calls: (() => Promise<void>)[] = range(0, 80).map(() => {
      const store = stores[Math.floor(random() * stores.length)]!;
      const reader = stores[Math.floor(random() * stores.length)]!;
      const key = keys[Math.floor(random() * random() * keys.length)]!;
      const kind = random();
      if (kind < 0.4) return () => failAndRead(store, reader, key);
      if (kind < 0.8) {
        return async () => {
          returned.get(key)!.successes.push((await store.recordSuccess(key)).successCount);
        };
      }
      return async () => {
        const { failureCount } = await store.getState(key);
        const most = model.get(key)!.failures + 80;
        assert(failureCount >= 0 && failureCount <= most, hint);
      };
    });
    if (cleared !== undefined) {
      const clear = stores[round % stores.length]!.reset(cleared);
      calls.push(() => clear);
    }
    await Promise.all(calls.map((call) => call()));

    const stored = await stores[0]!.peek(keys);
    for (const [i, key] of keys.entries()) {
      const { failures, successes } = returned.get(key)!;
      const counts = model.get(key)!;
      assertSerial(counts.failures, failures, key === cleared, `${hint}, failures of ${key}`);
      assertSerial(counts.successes, successes, key === cleared, `${hint}, successes of ${key}`);
      if (key !== cleared) {
        assertEquals(stored[i]!.failureCount, counts.failures + failures.length, hint);
        assertEquals(stored[i]!.successCount, counts.successes + successes.length, hint);
      }
      model.set(key, {
        failures: stored[i]!.failureCount,
        successes: stored[i]!.successCount,
      });
    }
  }
});

Deno.test("Dispatcher: what was awaited before a transition is in what the transition returns", async () => {
  await using instances = await openInstances(1);
  const [store] = instances.stores as [Store];
  await Promise.all(
    range(0, 50).map(async (i) => {
      const key = `circuit ${i}`;
      await store.recordFailure(key);
      await store.recordFailure(key);
      const { state, failureCount } = await store.transition(key, "open");
      assertEquals([state, failureCount], ["open", 2]);
      assertEquals((await store.transition(key, "closed")).failureCount, 0);
    }),
  );
});

Deno.test("Dispatcher: stragglers that open an open circuit together all see one opening", async () => {
  await using instances = await openInstances(3);
  const opened = await Promise.all(
    range(0, 90).map((i) => instances.stores[i % 3]!.transition("api", "open")),
  );
  assertEquals(new Set(opened.map(({ state }) => state)), new Set(["open"]));
  await using sql = connect(instances.url);
  const rows = await sql`select version::int from stoma_circuit_breakers`;
  assertEquals(rows[0]!.version, 1);
});

Deno.test("Dispatcher: an invalid call fails alone, not its neighbours", async () => {
  await using instances = await openInstances(1);
  const [store] = instances.stores as [Store];
  const good = range(0, 10).map(() => store.recordFailure("api"));
  const bad = [
    store.recordFailure(undefined as never),
    store.getState(7 as never),
    store.transition("api", "ajar" as never),
  ];
  const more = range(0, 10).map(() => store.recordFailure("api"));
  for (const call of bad) await assertRejects(() => call, TypeError);
  const counts = (await Promise.all([...good, ...more])).map(({ failureCount }) => failureCount);
  assertEquals(ascending(counts), range(1, 20));
});

Deno.test("Dispatcher: a statement that fails counts nothing, and the next one counts", async () => {
  await using instances = await openInstances(1);
  const [store] = instances.stores as [Store];
  await using sql = connect(instances.url);
  await sql`alter table stoma_circuit_breakers rename to elsewhere`;
  const failed = await Promise.allSettled(
    range(0, 40).map((i) => store.recordFailure(`k${i % 3}`)),
  );
  assertEquals(new Set(failed.map(({ status }) => status)), new Set(["rejected"]));
  await sql`alter table elsewhere rename to stoma_circuit_breakers`;
  const counts = await Promise.all(range(0, 40).map(() => store.recordFailure("k0")));
  assertEquals(ascending(counts.map(({ failureCount }) => failureCount)), range(1, 40));
});

Deno.test("Dispatcher: a flood waits in few statements, and beyond the bound gets a clear error", async () => {
  await using instances = await openInstances(1);
  const [store] = instances.stores as [Store];
  await store.recordFailure("api");
  await using sql = connect(instances.url);
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holder = sql.begin(async (transaction) => {
    await transaction`select from stoma_circuit_breakers where key = 'api' for update`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  const calls = range(0, 100_100).map(() => store.recordSuccess("api"));
  const refused = calls.slice(100_000);
  for (const call of refused) {
    const { message } = await assertRejects(() => call, StoreOverloadError);
    assertEquals(message, "Cannot record result: 100000 calls already wait for the database");
  }
  release.resolve();
  await holder;
  const last = await Promise.all(calls.slice(0, 100_000));
  assertEquals(last.length, 100_000);
  assertEquals((await store.peek("api")).successCount, 100_000);
});

Deno.test("Dispatcher: instances that write overlapping circuits in random order never deadlock", async () => {
  await using instances = await openInstances(4);
  const random = randomOf(7);
  const [{ deadlocks: before }] = await deadlocks(instances.url);
  await Promise.all(instances.stores.map(async (store) => {
    for (let round = 0; round < 25; round++) {
      await Promise.all(
        range(0, 60).map(() => {
          const key = `circuit ${Math.floor(random() * 40)}`;
          return random() < 0.8
            ? store.recordSuccess(key)
            : store.transition(key, random() < 0.5 ? "open" : "closed");
        }),
      );
    }
  }));
  const [{ deadlocks: after }] = await deadlocks(instances.url);
  assertEquals(after, before);
});

async function deadlocks(url: string): Promise<[{ deadlocks: number }]> {
  await using sql = connect(url);
  return await sql`
    select deadlocks::int from pg_stat_database where datname = current_database()` as never;
}
