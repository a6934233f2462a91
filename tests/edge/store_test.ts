/** A store at module scope, in a runtime that binds promises, sockets and timers to their request. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CircuitBreaker, type PostgresCircuitBreakerStore } from "../../mod.ts";
import { observationOf } from "../../src/metrics/observation.ts";
import { inBoundRuntime } from "./bound_runtime.ts";
import { EdgeScene, pass, TIMEOUT_MS } from "./scene.ts";

type Call = (store: PostgresCircuitBreakerStore, key: string) => Promise<unknown>;

const CALLS: Record<string, Call> = {
  getState: (store, key) => store.getState(key),
  recordSuccess: (store, key) => store.recordSuccess(key),
  recordFailure: (store, key) => store.recordFailure(key),
  transition: (store, key) => store.transition(key, "open"),
  acquire: (store, key) => store.acquire(key),
  peek: (store, key) => store.peek(key),
  "peek, many": (store, key) => store.peek([key, "b"]),
  list: (store) => store.list(),
  history: (store) => store.history(),
  forceOpen: (store, key) => store.forceOpen(key),
  reset: (store, key) => store.reset(key),
  prune: (store) => store.prune({ idleMs: 1 }),
  check: (store) => store.check(),
};

Deno.test("with waitUntil each call sends a statement of its own, and leaves nothing behind", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store();
  await scene.run(() => store.recordFailure("a"));
  const before = scene.client.statements.length;
  const counts = await Promise.all(
    Array.from({ length: 20 }, () => scene.run(() => store.recordFailure("a"))),
  );
  assertEquals(scene.client.statements.length - before, 20);
  assertEquals(
    counts.map(({ failureCount }) => failureCount).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 2),
  );
  assertEquals(scene.requests.timers, 0);
});

for (const maxStalenessMs of [0, 60_000]) {
  Deno.test(`a request that is cancelled in the middle of a call holds up no other, with maxStalenessMs ${maxStalenessMs}`, async () => {
    await using scene = await EdgeScene.open();
    const store = scene.store({ maxStalenessMs, resetTimeoutMs: 60_000 });
    for (const [name, call] of Object.entries(CALLS)) {
      // No key that is answered from memory.
      const key = `of ${name}`;
      await scene.cancelAt(/./, () => call(store, key));
      const beganAt = performance.now();
      await scene.run(() => call(store, key));
      assert(performance.now() - beganAt < TIMEOUT_MS, name);
    }
    assertEquals([scene.errors, scene.outages], [[], []]);
  });
}

Deno.test("a request whose client leaves goes on until its statement is answered", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ resetTimeoutMs: 1 });
  // The handler returns before its call has ended, as that of a request without a client.
  const left = scene.requests.begin(() => {
    void store.recordFailure("a");
    return Promise.resolve();
  });
  await left.ended;
  assertEquals((await scene.other.peek("a")).failureCount, 1);
});

Deno.test("a probe whose request is cancelled costs its lease, and no more", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ resetTimeoutMs: 1, probeTimeoutMs: 200 });
  await scene.run(() => store.recordFailure("a"));
  await scene.run(() => store.transition("a", "open"));
  await pass(5);
  await scene.cancelAt(/granted/, () => store.getState("a"), true);
  assertEquals((await scene.run(() => store.getState("a"))).state, "open");
  await pass(250);
  assertEquals((await scene.run(() => store.getState("a"))).state, "half-open");
  await scene.run(() => store.transition("a", "closed"));
  assertEquals((await scene.other.peek("a")).state, "closed");
});

Deno.test("a call ends at its deadline, and its timer with it", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store();
  await scene.run(() => store.getState("a"));
  const reached = scene.client.hold(/./);
  const beganAt = performance.now();
  const { result, ended } = scene.requests.begin(() => store.getState("a"));
  await reached;
  await assertRejects(() => result, Error, `no answer in ${TIMEOUT_MS} ms`);
  assert(performance.now() - beganAt >= TIMEOUT_MS - 1);
  await ended;
  assertEquals(scene.requests.timers, 0);
});

Deno.test("other instances hear of changes, and the log is trimmed, by calls alone", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ historyRows: 10 });
  for (let i = 0; i < 20; i++) {
    await scene.run(() => store.transition(`${i}`, "open"));
    await scene.run(() => store.transition(`${i}`, "closed"));
  }
  assertEquals(scene.client.sent(/pg_notify/), 40);
  const [row] = await scene.sql`select count(*)::int as n from circuits_changes`;
  assert(row!["n"] < 30, `${row!["n"]} rows`);
});

Deno.test("a watch works as long as its request", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ maxStalenessMs: 50 });
  const { result, ended } = scene.requests.begin(async () => {
    const states: string[] = [];
    for await (const { to } of store.watch()) {
      states.push(to);
      if (to === "closed") break;
    }
    return states;
  });
  await scene.other.transition("a", "open");
  await scene.other.transition("a", "closed");
  assertEquals(await result, ["open", "closed"]);
  await ended;
});

Deno.test("a waitUntil that throws or rejects fails no call, and is reported", async () => {
  await using scene = await EdgeScene.open();
  const failures: (() => unknown)[] = [
    () => {
      throw new TypeError("Illegal invocation");
    },
    () => Promise.reject(new TypeError("Illegal invocation")),
  ];
  for (const waitUntil of failures) {
    scene.errors.length = 0;
    const store = scene.store({ waitUntil: waitUntil as () => void });
    await scene.run(() => store.getState("a"));
    await scene.run(() => store.getState("a"));
    assertEquals(scene.errors, ["Illegal invocation"]);
  }
});

Deno.test("without waitUntil each call rejects in such a runtime, and says so to onError", async () => {
  await using scene = await EdgeScene.open();
  await inBoundRuntime(async () => {
    const store = scene.store({ waitUntil: undefined });
    const watch = store.watch();
    for (const call of [...Object.values(CALLS), () => watch.next()]) {
      await assertRejects(() => call(store, "a"), Error, 'pass "waitUntil"');
    }
    assertEquals(scene.client.statements, []);
    assertEquals(scene.errors.length, 1);
    await store.close();
  });
});

Deno.test("a store at module scope draws no random number before its first call", async () => {
  await using scene = await EdgeScene.open();
  await inBoundRuntime(async () => {
    const { randomUUID } = crypto;
    crypto.randomUUID = () => {
      throw new Error("Disallowed operation called within global scope");
    };
    let store: PostgresCircuitBreakerStore;
    let breaker: CircuitBreaker;
    const admitted: string[] = [];
    try {
      store = scene.store({ maxStalenessMs: 100, trip: "store", failureThreshold: 5 });
      breaker = new CircuitBreaker(store);
      observationOf(store)!.add({ onAdmitted: (key) => void admitted.push(key) });
      assertEquals(observationOf(store)!.gauges.isOut(), false);
    } finally {
      crypto.randomUUID = randomUUID;
    }
    assertEquals(await scene.run(() => breaker.execute("b", () => 1)), 1);
    assertEquals(admitted, ["b"]);
    assertEquals((await scene.run(() => store.getState("a"))).state, "closed");
    await scene.run(() => store.close());
  });
});
