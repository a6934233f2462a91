/** Rates with a quorum: each instance judges its own calls, from its share of the throughput on. */

import { assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore, type PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { oneTo } from "../conformance/session.ts";
import { KEY, Scene } from "./scene.ts";

/** From 10 calls of an instance on. */
const RATES: PostgresCircuitBreakerStoreOptions = {
  quorum: 2,
  failureThreshold: undefined,
  failureRateThreshold: 0.5,
  slowCallRateThreshold: 0.5,
  slowCallDurationMs: 1000,
  minimumThroughput: 20,
};

for (const maxStalenessMs of [0, 600_000]) {
  const how = maxStalenessMs === 0 ? "" : ", with a cache";
  Deno.test(`an instance judges a rate by its own calls alone${how}`, async () => {
    await using scene = await Scene.open();
    const [bad, good] = ["bad", "good"].map((name) =>
      scene.store(name, { ...RATES, maxStalenessMs })
    );
    for (const _ of oneTo(100)) await good!.recordSuccess(KEY);
    for (const _ of oneTo(5)) await bad!.recordSuccess(KEY);
    for (const _ of oneTo(4)) await bad!.recordFailure(KEY);
    assertEquals((await bad!.getState(KEY)).state, "closed");
    await bad!.recordFailure(KEY);
    assertEquals((await bad!.getState(KEY)).state, "open");
    assertEquals((await good!.getState(KEY)).state, "closed");
    assertEquals(await scene.log(), ["bad: closed -> closed by vote"]);
  });

  Deno.test(`a success can complete the throughput, and so the quorum${how}`, async () => {
    await using scene = await Scene.open();
    for (const name of ["a", "b"]) {
      const store = scene.store(name, { ...RATES, maxStalenessMs });
      for (const _ of oneTo(9)) await store.recordSuccess(KEY, { durationMs: 1000 });
      assertEquals((await store.getState(KEY)).state, "closed");
      assertEquals((await store.recordSuccess(KEY, { durationMs: 10 })).state, "open");
    }
    assertEquals(await scene.log(), [
      "a: closed -> closed by vote",
      "b: closed -> open by vote",
    ]);
  });
}

Deno.test("the store in memory judges alone, as an instance of a fleet does for itself", async () => {
  const store = new InMemoryCircuitBreakerStore(RATES);
  for (const _ of oneTo(9)) await store.recordFailure(KEY);
  assertEquals((await store.getState(KEY)).state, "closed");
  assertEquals((await store.recordFailure(KEY)).state, "open");
  assertEquals((await store.list())[0]!.votes, []);
});
