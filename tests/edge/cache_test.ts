/** The cache in a runtime in which only calls begin anything. */

import { assert, assertEquals } from "@std/assert";
import type { PostgresCircuitBreakerStore } from "../../mod.ts";
import { EdgeScene, FLUSH, pass, REGISTER, TAIL, TIMEOUT_MS } from "./scene.ts";

const BOUND_MS = 200;

/** Makes calls for a time. */
async function callFor(
  scene: EdgeScene,
  ms: number,
  call: () => Promise<unknown>,
): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await scene.run(call);
    await pass(5);
  }
}

Deno.test("calls refresh the cache once in half of the bound, and show what others change within it", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ maxStalenessMs: BOUND_MS });
  await scene.other.recordFailure("a");
  const call = () => store.getState("a");
  await scene.run(call);
  const beganAt = performance.now();
  const before = scene.client.sent(TAIL);
  await callFor(scene, 1000, call);
  const most = Math.ceil((performance.now() - beganAt) / (BOUND_MS / 2)) + 1;
  const refreshes = scene.client.sent(TAIL) - before;
  assert(refreshes > 1 && refreshes <= most, `${refreshes} refreshes, at most ${most}`);
  await scene.other.transition("a", "open");
  await pass(BOUND_MS);
  assertEquals((await scene.run(call)).state, "open");
});

Deno.test("a refresh whose request is cancelled neither breaks the bound nor stays the last one", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ maxStalenessMs: BOUND_MS });
  await scene.other.recordFailure("a");
  const call = () => store.getState("a");
  await callFor(scene, BOUND_MS, call);
  await scene.cancelWhichever(TAIL, call);
  await scene.other.transition("a", "open");
  await pass(BOUND_MS);
  assertEquals((await scene.run(call)).state, "open");
  await pass(2 * TIMEOUT_MS);
  const before = scene.client.sent(TAIL);
  await callFor(scene, BOUND_MS, call);
  assert(scene.client.sent(TAIL) > before, "no refresh was begun");
  // From memory again: what was read is kept up to date by the log.
  await scene.other.transition("a", "closed");
  await callFor(scene, BOUND_MS, call);
  assertEquals((await scene.run(call)).state, "closed");
});

/** A store with a circuit that is in regular use, and a call that records a success of it. */
async function openCounting(scene: EdgeScene, cancelled: "register" | "none"): Promise<
  { store: PostgresCircuitBreakerStore; record: () => Promise<void>; check: () => Promise<boolean> }
> {
  await scene.other.recordSuccess("a");
  const store = scene.store({ maxStalenessMs: BOUND_MS, countWithinMs: 300 });
  let [begun, acknowledged] = [1, 1];
  const record = async () => {
    begun++;
    await store.recordSuccess("a");
    acknowledged++;
  };
  /** Whether each acknowledged success is counted. One whose request was cancelled may be. */
  const check = async () => {
    const stored = await scene.stored("a");
    assert(stored <= begun && begun - acknowledged <= 1, `${stored} of ${begun}`);
    return stored >= acknowledged;
  };
  const read = () => store.getState("a");
  if (cancelled === "register") await scene.cancelWhichever(REGISTER, read);
  await callFor(scene, BOUND_MS, read);
  return { store, record, check };
}

for (const statement of ["register", "flush", "flush that is executed"] as const) {
  for (const ends of ["by another flush", "by close"] as const) {
    Deno.test(`each success counts once where the request of a ${statement} is cancelled, ${ends}`, async () => {
      await using scene = await EdgeScene.open();
      const cancelled = statement === "register" ? statement : "none";
      const { store, record, check } = await openCounting(scene, cancelled);
      if (cancelled === "none") {
        await scene.cancelWhichever(FLUSH, record, statement === "flush that is executed");
      }
      await callFor(scene, 100, record);
      if (ends === "by another flush") {
        await pass(2 * TIMEOUT_MS);
        // Successes that were acknowledged before are counted without any further one.
        const end = performance.now() + 5000;
        while (!await check() && performance.now() < end) {
          await callFor(scene, 50, () => store.getState("a"));
        }
        assert(await check(), "it was not counted without close");
      }
      await scene.run(() => store.close());
      assert(await check(), "a success is missing");
    });
  }
}

Deno.test("close counts what waits while a flush of another request is under way", async () => {
  await using scene = await EdgeScene.open();
  const { store, record, check } = await openCounting(scene, "none");
  let isSent = false;
  const sent = scene.client.hold(FLUSH, true).then(() => void (isSent = true));
  // The request of the flush goes on: its statement has no answer until its deadline.
  while (!isSent) {
    await Promise.race([sent, scene.requests.begin(record).ended, pass(50)]);
    await pass(5);
  }
  const beganAt = performance.now();
  await scene.run(() => store.close());
  assert(performance.now() - beganAt < TIMEOUT_MS, "it waited for the other request");
  assert(await check(), "a success is missing");
  await pass(TIMEOUT_MS); // the deadline of the flush changes nothing
  assert(await check(), "a success is missing");
});

Deno.test("with a rate each success counts once, by calls alone", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ maxStalenessMs: BOUND_MS, failureRateThreshold: 0.5 });
  await scene.run(() => store.recordSuccess("a"));
  await scene.run(() => store.getState("a"));
  for (let i = 0; i < 10; i++) await scene.run(() => store.recordSuccess("a"));
  await scene.run(() => store.recordFailure("a"));
  await scene.run(() => store.close());
  assertEquals(await scene.stored("a"), 11);
  for (let i = 0; i < 20; i++) await scene.run(() => store.recordFailure("a"));
  await pass(2 * BOUND_MS);
  assertEquals((await scene.run(() => store.recordFailure("a"))).state, "open");
});
