/** A breaker over the store on PostgreSQL, with each of its options that changes how calls are admitted. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CircuitBreaker,
  CircuitOpenError,
  migrate,
  type OutageChange,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { openPglite, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { down, fail, logged, pending, RULES } from "./stage.ts";

/** Longer than any test here. */
const BOUND_MS = 60_000;

/** A table, and instances on one clock whose statements are counted. */
async function openFleet(driver?: { client: PostgresClient } & AsyncDisposable) {
  await using cleanup = new AsyncDisposableStack();
  let opened = driver;
  if (opened === undefined) {
    const database = cleanup.use(await createDatabase());
    opened = await openPostgresJs(database.url, { max: 4 });
  }
  cleanup.use(opened);
  const { client } = opened;
  await migrate(client);
  const clock = { at: 1000 };
  const network = { statements: 0, isDown: false };
  const counting: PostgresClient = {
    query(text, params) {
      network.statements++;
      return network.isDown
        ? Promise.reject(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))
        : client.query(text, params);
    },
  };
  const kept = cleanup.move();
  let instances = 0;
  return {
    clock,
    network,
    instance(options: PostgresCircuitBreakerStoreOptions = {}) {
      const store = kept.use(
        new PostgresCircuitBreakerStore(counting, {
          ...RULES,
          instanceId: `instance ${++instances}`,
          now: () => clock.at,
          ...options,
        }),
      );
      const log: string[] = [];
      return {
        store,
        log,
        breaker: new CircuitBreaker(store, { record: "await", ...logged(log) }),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

Deno.test("instances share circuits, one probe, and the events that each has seen", async () => {
  await using fleet = await openFleet();
  const [one, other] = [fleet.instance(), fleet.instance()];
  await fail(one.breaker, "api", 2);
  await fail(other.breaker, "api", 1);
  await assertRejects(() => one.breaker.execute("api", () => 1), CircuitOpenError);
  fleet.clock.at += 10_000;
  const probe = pending();
  const probing = one.breaker.execute("api", probe.call);
  await probe.called;
  const refused = await assertRejects(
    () => other.breaker.execute("api", () => 1),
    CircuitOpenError,
  );
  assertEquals(refused.state, "half-open");
  probe.resolve("back");
  assertEquals(await probing, "back");
  assertEquals(await other.breaker.execute("api", () => 1), 1);
  assertEquals(one.log, [
    ...["failure api", "failure api", "open api", "reject api"],
    ...["half-open api", "success api", "close api"],
  ]);
  assertEquals(other.log, [
    ...["failure api", "open api", "half-open api", "reject api"],
    ...["close api", "success api"],
  ]);
});

Deno.test("a permit names who forces the circuit, also from a cache", async () => {
  await using fleet = await openFleet();
  for (const maxStalenessMs of [0, BOUND_MS]) {
    const { store, breaker } = fleet.instance({ maxStalenessMs });
    assertEquals(await breaker.execute("api", () => 1), 1);
    await store.forceOpen("api", { reason: "migration", actor: "ops", forMs: 7000 });
    const error = await assertRejects(() => breaker.execute("api", () => 1), CircuitOpenError);
    assertEquals([error.isForced, error.reason, error.retryAfterMs], [true, "migration", 7000]);
    const { forced } = await store.acquire("api");
    assertEquals(forced, {
      state: "open",
      since: fleet.clock.at,
      until: fleet.clock.at + 7000,
      reason: "migration",
      by: "ops",
    });
    await store.forceClosed("api", { actor: "ops" });
    const closed = await store.acquire("api");
    assertEquals([closed.allowed, closed.forced?.state], [true, "closed"]);
    await store.release("api");
    assertEquals((await store.acquire("api")).forced, undefined);
  }
});

Deno.test("with a cache, calls on a closed circuit cost no statement within the bound, and all count", async () => {
  await using fleet = await openFleet();
  const { store, breaker } = fleet.instance({ maxStalenessMs: BOUND_MS });
  for (let call = 0; call < 3; call++) await breaker.execute("api", () => 1);
  const before = fleet.network.statements;
  for (let call = 0; call < 500; call++) await breaker.execute("api", () => call);
  await Promise.all(Array.from({ length: 500 }, (_, call) => breaker.execute("api", () => call)));
  assertEquals(fleet.network.statements, before);

  fleet.clock.at += BOUND_MS;
  assertEquals(await breaker.execute("api", () => 1), 1);
  assert(fleet.network.statements > before, "an answer older than the bound was used");

  await breaker.close();
  await store.close();
  const reader = fleet.instance().store;
  assertEquals((await reader.peek("api")).successCount, 1004);
});

Deno.test("with a cache, failures count at once, and the circuit opens at the threshold", async () => {
  await using fleet = await openFleet();
  const { breaker, log } = fleet.instance({ maxStalenessMs: BOUND_MS });
  const other = fleet.instance();
  for (let call = 0; call < 10; call++) await breaker.execute("api", () => 1);
  log.length = 0;
  await fail(breaker, "api", 3);
  assertEquals((await other.store.peek("api")).state, "open");
  await assertRejects(() => breaker.execute("api", () => 1), CircuitOpenError);
  assertEquals(log, ["failure api", "failure api", "failure api", "open api", "reject api"]);
  fleet.clock.at += 10_000;
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), false);
});

Deno.test("with a cache and a rate, successes and failures of a breaker open the circuit", async () => {
  await using fleet = await openFleet();
  const { breaker, store } = fleet.instance({
    trip: undefined,
    failureThreshold: undefined,
    failureRateThreshold: 0.5,
    minimumThroughput: 10,
    maxStalenessMs: 1000,
  });
  for (let call = 0; call < 10; call++) await breaker.execute("api", () => 1);
  await fail(breaker, "api", 9);
  assertEquals((await store.peek("api")).state, "closed");
  // The rate is due at the tenth failure. It is suspect first, and open two bounds later.
  await fail(breaker, "api", 1);
  for (let step = 0; step < 20 && !await breaker.isOpen("api"); step++) {
    fleet.clock.at += 1000;
    await fail(breaker, "api", 1);
  }
  assertEquals(await breaker.isOpen("api"), true);
});

Deno.test("mode observe refuses nothing, judges, and takes results as those of probes", async () => {
  await using fleet = await openFleet();
  for (const maxStalenessMs of [0, BOUND_MS]) {
    const key = `api ${maxStalenessMs}`;
    const { breaker, store } = fleet.instance({ mode: "observe", maxStalenessMs });
    for (let call = 0; call < 5; call++) await breaker.execute(key, () => 1);
    await fail(breaker, key, 5);
    for (let call = 0; call < 5; call++) await breaker.execute(key, () => 1);
    fleet.clock.at += 10_000;
    assertEquals(await breaker.execute(key, ({ isProbe }) => isProbe), false);
    const changes = await store.history({ key: { storedKey: `${key}~observed` } });
    assertEquals(changes.map(({ to }) => to), ["open", "half-open", "closed"]);
  }
});

Deno.test("with a quorum, an instance is open for itself, and the others go on", async () => {
  await using fleet = await openFleet();
  for (const maxStalenessMs of [0, BOUND_MS]) {
    const key = `api ${maxStalenessMs}`;
    const options = { trip: undefined, quorum: 2, maxStalenessMs };
    const [bad, good] = [fleet.instance(options), fleet.instance(options)];
    for (let call = 0; call < 3; call++) await bad.breaker.execute(key, () => 1);
    await fail(bad.breaker, key, 3);
    await assertRejects(() => bad.breaker.execute(key, () => 1), CircuitOpenError);
    assertEquals(await good.breaker.execute(key, () => 1), 1);
    fleet.clock.at += 10_000;
    assertEquals(await bad.breaker.execute(key, ({ isProbe }) => isProbe), true);
    assertEquals(await bad.breaker.execute(key, ({ isProbe }) => isProbe), false);
  }
});

Deno.test("in an outage, local circuits guard calls, or calls go on unguarded", async () => {
  await using fleet = await openFleet();
  for (const maxStalenessMs of [0, 0.5]) {
    const back = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const ending = (index: 0 | 1) => ({
      maxStalenessMs,
      onOutageChange: ({ isOut }: OutageChange) => void (isOut || back[index].resolve()),
    });
    const local = fleet.instance({ onOutage: "local", ...ending(0) });
    const lost = fleet.instance(ending(1));
    assertEquals(await local.breaker.execute("api", () => 1), 1);
    fleet.network.isDown = true;
    fleet.clock.at += 1000;
    await fail(local.breaker, "down", 3);
    await assertRejects(() => local.breaker.execute("down", () => 1), CircuitOpenError);
    assertEquals(local.log.filter((line) => line.startsWith("error")), []);

    await fail(lost.breaker, "down", 4);
    assertEquals(await lost.breaker.execute("down", () => 1), 1);
    assertEquals(lost.log.filter((line) => line.startsWith("error")).length, 5);
    const strict = new CircuitBreaker(lost.store, { onStoreError: "reject" });
    await assertRejects(() => strict.execute("down", () => 1), Error, "Cannot use the database");
    fleet.network.isDown = false;
    await Promise.all(back.map(({ promise }) => promise));
  }
});

Deno.test("a success that cannot be counted from memory any more is sent to the database", async () => {
  await using fleet = await openFleet();
  const { breaker, store } = fleet.instance({ maxStalenessMs: BOUND_MS });
  for (let call = 0; call < 2; call++) await breaker.execute("api", () => 1);
  const slow = pending();
  const underway = breaker.execute("api", slow.call);
  await slow.called;
  fleet.clock.at += BOUND_MS;
  slow.resolve("late");
  assertEquals(await underway, "late");
  const other = pending();
  const next = breaker.execute("api", other.call);
  await other.called;
  // It closes the store, and with it the cache: the call's success is recorded all the same.
  await store.close();
  other.resolve("later");
  assertEquals(await next, "later");
  assertEquals((await fleet.instance().store.peek("api")).successCount, 4);
});

Deno.test("an open circuit costs an instance with a cache no statement for the calls it refuses", async () => {
  await using fleet = await openFleet();
  const { breaker } = fleet.instance({ maxStalenessMs: BOUND_MS });
  await fail(breaker, "api", 3);
  const before = fleet.network.statements;
  for (let call = 0; call < 100; call++) {
    await assertRejects(() => breaker.execute("api", down), CircuitOpenError);
  }
  assertEquals(fleet.network.statements, before);
});

Deno.test("a breaker over PGlite", async () => {
  await using fleet = await openFleet(await openPglite());
  const { breaker, log } = fleet.instance();
  await fail(breaker, "api", 3);
  await assertRejects(() => breaker.execute("api", () => 1), CircuitOpenError);
  fleet.clock.at += 10_000;
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
  assertEquals(log.slice(3), [
    ...["open api", "reject api", "half-open api", "success api", "close api"],
  ]);
});
