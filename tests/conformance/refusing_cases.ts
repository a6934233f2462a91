/** Refusals: how many requests a circuit refused since it was last closed. */

import { assertEquals } from "@std/assert";
import { BREAKER, KEY, probe, report, RESET, trip } from "./breaking.ts";
import { type ConformanceStore, oneTo, type Suite } from "./session.ts";

/** What `list` says once the store has counted what it refused. Calls go on after that. */
async function refusedAtEnd(store: ConformanceStore): Promise<[count: number, state: string][]> {
  await store.close();
  return (await store.list()).map(({ refusedCount, state }) => [refusedCount, state]);
}

async function refuse(store: ConformanceStore, times: number): Promise<void> {
  for (const _ of oneTo(times)) assertEquals((await store.getState(KEY)).state, "open");
}

export function refusingTests({ configured, test }: Suite): void {
  configured(
    "refusals of getState and of permits count, and nothing else does",
    BREAKER,
    async (c) => {
      await c.store.getState(KEY);
      await trip(c.store);
      await refuse(c.store, 3);
      assertEquals((await c.store.acquire(KEY)).allowed, false);
      await c.store.peek(KEY);
      await c.store.peek([KEY]);
      c.clock.at += RESET;
      await probe(c.store);
      await refuse(c.store, 1);
      await report(c.store, "failure");
      await refuse(c.store, 1);
      assertEquals(await refusedAtEnd(c.store), [[6, "open"]]);
    },
  );

  configured("refusals of a forced circuit count", BREAKER, async (c) => {
    await c.store.forceOpen(KEY);
    await refuse(c.store, 2);
    assertEquals(await refusedAtEnd(c.store), [[2, "open"]]);
  });

  configured(
    "refusals stay when the circuit closes, and begin again when it opens",
    BREAKER,
    async (c) => {
      await trip(c.store);
      await refuse(c.store, 2);
      c.clock.at += RESET;
      await probe(c.store);
      await report(c.store, "success");
      const [{ refusedCount } = { refusedCount: -1 }] = await c.store.list();
      // The table counts them later.
      assertEquals([0, 2].includes(refusedCount), true);
      c.clock.at += 1000;
      await trip(c.store);
      await refuse(c.store, 1);
      assertEquals(await refusedAtEnd(c.store), [[1, "open"]]);
    },
  );

  configured(
    "refusals of a circuit that ramps up count",
    { ...BREAKER, rampUpMs: 10_000 },
    async (c) => {
      await trip(c.store);
      c.clock.at += RESET;
      await probe(c.store);
      await report(c.store, "success");
      let refused = 0;
      for (const _ of oneTo(50)) {
        if ((await c.store.getState(KEY)).state === "open") refused++;
        if (!(await c.store.acquire(KEY)).allowed) refused++;
      }
      const listed = await refusedAtEnd(c.store);
      assertEquals([listed, refused > 0], [[[refused, "closed"]], true]);
    },
  );

  configured("a reset forgets refusals", BREAKER, async (c) => {
    await trip(c.store);
    await refuse(c.store, 2);
    await c.store.reset(KEY);
    await c.store.recordFailure(KEY);
    await c.store.getState(KEY);
    const [{ refusedCount } = { refusedCount: -1 }] = await c.store.list();
    assertEquals(refusedCount, 0);
  });

  test("a store without resetTimeoutMs leaves it to the policy whom a half-open circuit admits", async (store) => {
    await store.transition(KEY, "open");
    await refuse(store, 2);
    await store.transition(KEY, "half-open");
    assertEquals((await store.getState(KEY)).state, "half-open");
    assertEquals((await store.acquire(KEY)).allowed, false);
    assertEquals(await refusedAtEnd(store), [[3, "half-open"]]);
  });

  test("list() gives the reason of the last change", async (store) => {
    await store.forceOpen(KEY, { actor: "ops", reason: "upstream migrates" });
    const reasons = async () => (await store.list()).map(({ reason }) => reason);
    assertEquals(await reasons(), ["upstream migrates"]);
    await store.release(KEY);
    await store.recordFailure(KEY);
    assertEquals(await reasons(), [undefined]);
  });
}
