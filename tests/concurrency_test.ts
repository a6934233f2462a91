import { assert, assertEquals } from "@std/assert";
import {
  type CircuitBreakerSnapshot,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "../mod.ts";
import { type Call, Worker } from "./concurrency_worker.ts";
import { ascending, oneTo } from "./conformance/session.ts";
import { openNodePostgres, openPostgresJs } from "./support/clients.ts";
import { createDatabase } from "./support/database.ts";

/** Two stores on pools of their own, with different drivers. */
async function openTwo(): Promise<
  { stores: PostgresCircuitBreakerStore[]; url: string } & AsyncDisposable
> {
  const stack = new AsyncDisposableStack();
  const { url } = stack.use(await createDatabase());
  const one = stack.use(await openPostgresJs(url));
  const two = stack.use(await openNodePostgres(url));
  await migrate(one.client);
  const stores = [one, two].map(({ client }) => new PostgresCircuitBreakerStore(client));
  return { stores, url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("recordFailure of two instances on a fresh key counts exactly", async () => {
  await using two = await openTwo();
  for (const round of oneTo(10)) {
    const key = `circuit ${round}`;
    const snapshots = await Promise.all(
      two.stores.flatMap((store) => oneTo(40).map(() => store.recordFailure(key))),
    );
    assertEquals(ascending(snapshots.map((each) => each.failureCount)), oneTo(80));
    for (const store of two.stores) assertEquals((await store.getState(key)).failureCount, 80);
  }
});

Deno.test("recordFailure counts exactly when all instances insert the same circuit at once", async () => {
  await using two = await openTwo();
  const keys = oneTo(50).map((index) => `circuit ${index}`);
  const counts = await Promise.all(keys.map(async (key) => {
    const pair = await Promise.all(two.stores.map((store) => store.recordFailure(key)));
    return ascending(pair.map((each) => each.failureCount));
  }));
  assertEquals(counts, keys.map(() => [1, 2]));
});

Deno.test("recordSuccess counts exactly, alone or not, also when another instance removes the circuit", async () => {
  await using two = await openTwo();
  const [store, other] = two.stores as [PostgresCircuitBreakerStore, PostgresCircuitBreakerStore];
  const count = async (calls: number) => {
    const snapshots = await Promise.all(oneTo(calls).map(() => store.recordSuccess("api")));
    return ascending(snapshots.map((each) => each.successCount));
  };
  assertEquals(await count(1), [1]);
  assertEquals(await count(1), [2]);
  assertEquals(await count(3), [3, 4, 5]);
  assertEquals((await other.recordSuccess("api")).successCount, 6);
  assertEquals(await count(1), [7]);
  for (const calls of [1, 3, 1]) {
    await other.reset("api");
    assertEquals(await count(calls), oneTo(calls));
    assertEquals((await other.getState("api")).successCount, calls);
  }
});

Deno.test("recordSuccess makes a new row when the row that it waits for is removed", async () => {
  await using two = await openTwo();
  await using holder = await openPostgresJs(two.url, { max: 1 });
  await Promise.all(two.stores.map((store) => store.recordSuccess("api")));
  let waiting: Promise<CircuitBreakerSnapshot>[] = [];
  await holder.raw.begin(async (sql) => {
    await sql`delete from stoma_circuit_breakers`;
    waiting = two.stores.map((store) => store.recordSuccess("api"));
    await using watcher = await openPostgresJs(two.url, { max: 1 });
    while (await blocked(watcher.client) < 2);
  });
  const snapshots = await Promise.all(waiting);
  assertEquals(ascending(snapshots.map((each) => each.successCount)), [1, 2]);
});

Deno.test("many circuits of two instances stay apart", async () => {
  await using two = await openTwo();
  const keys = oneTo(30).map((index) => `circuit ${index}`);
  await Promise.all(two.stores.flatMap((store) =>
    keys.flatMap((key, index) => [
      ...oneTo(index + 1).map(() => store.recordFailure(key)),
      ...oneTo(3).map(() => store.recordSuccess(key)),
      index % 2 ? store.transition(key, "open") : store.getState(key),
    ])
  ));
  for (const store of two.stores) {
    const snapshots = await store.peek(keys);
    assertEquals(
      snapshots.map(({ state, failureCount, successCount }) => [state, failureCount, successCount]),
      keys.map((_, index) => [index % 2 ? "open" : "closed", 2 * (index + 1), 6]),
    );
  }
});

Deno.test("transition changes the circuit once for all instances, however many call it at once", async () => {
  await using two = await openTwo();
  const snapshots = await Promise.all(
    two.stores.flatMap((store) => oneTo(10).map(() => store.transition("api", "open"))),
  );
  const times = new Set(snapshots.map((each) => each.lastStateChange));
  assertEquals(times.size, 1);
});

Deno.test("calls on overlapping keys in any order end without a deadlock", async () => {
  await using two = await openTwo();
  const keys = oneTo(12).map((index) => `circuit ${index}`);
  let random = 3;
  const shuffled = () =>
    keys.map((key) => [random = (random * 16_807) % 2_147_483_647, key] as const)
      .toSorted(([a], [b]) => a - b).map(([, key]) => key);
  for (const _ of oneTo(10)) {
    await Promise.all(
      two.stores.flatMap((store) =>
        oneTo(4).flatMap((index) =>
          shuffled().map((key) =>
            index === 4 ? store.transition(key, "half-open") : store.recordFailure(key)
          )
        )
      ),
    );
  }
  const counts = (await two.stores[0]!.peek(keys)).map((each) => each.failureCount);
  assertEquals(counts, keys.map(() => 2 * 3 * 10));
});

Deno.test("a writer that waits for another's row counts on top of it, at a time after it", async () => {
  await using two = await openTwo();
  await using holder = await openPostgresJs(two.url, { max: 1 });
  const [first] = two.stores;
  await first!.recordFailure("api");
  let waiting: Promise<CircuitBreakerSnapshot>[] = [];
  let released = 0;
  await holder.raw.begin(async (sql) => {
    await sql`update stoma_circuit_breakers set failure_count = 10 where key = 'api'`;
    waiting = two.stores.map((store) => store.recordFailure("api"));
    // The database itself says when both wait for the row.
    await using watcher = await openPostgresJs(two.url, { max: 1 });
    while (await blocked(watcher.client) < 2);
    released = Date.now();
  });
  const snapshots = await Promise.all(waiting);
  assertEquals(ascending(snapshots.map((each) => each.failureCount)), [11, 12]);
  for (const { lastFailureTime } of snapshots) {
    assert(lastFailureTime >= released, `${released - lastFailureTime} ms before the row was free`);
  }
});

Deno.test("recordFailure of three processes on a fresh key counts exactly", async () => {
  await using two = await openTwo();
  await using stack = new AsyncDisposableStack();
  const workers = await Promise.all(oneTo(3).map(() => Worker.start(two.url)));
  for (const worker of workers) stack.use(worker);
  for (const round of oneTo(5)) {
    const key = `circuit ${round}`;
    const calls = oneTo(40).map((): Call => ["recordFailure", key]);
    const answers = await Promise.all(workers.map((worker) => worker.run(calls)));
    assertEquals(answers.flatMap((each) => each.errors), []);
    const counts = answers.flatMap((each) => each.results.map((result) => result.failureCount));
    assertEquals(ascending(counts), oneTo(120));
  }
  const keys = oneTo(20).map((index) => `shared ${index}`);
  const answers = await Promise.all(workers.map((worker, index) => {
    const order = index % 2 ? keys.toReversed() : keys;
    return worker.run(oneTo(5).flatMap(() => order.map((key): Call => ["recordSuccess", key])));
  }));
  assertEquals(answers.flatMap((each) => each.errors), []);
  const [store] = two.stores;
  assertEquals((await store!.peek(keys)).map((each) => each.successCount), keys.map(() => 15));
});

async function blocked(client: PostgresClient): Promise<number> {
  const { rows } = await client.query(`select count(*)::int as n from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`);
  return rows[0]!.n as number;
}
