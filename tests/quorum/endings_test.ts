/** How openings by votes go with what was before: failed rounds, and an operator's state. */

import { assertEquals } from "@std/assert";
import { Gateway, KEY, RESET, Scene } from "./scene.ts";

Deno.test("a circuit that votes open backs off as after any other opening", async () => {
  await using scene = await Scene.open();
  const options = { failureThreshold: 1, resetBackoff: { factor: 2, maxMs: 10 * RESET } };
  const a = scene.gateway("a", options);
  const b = scene.gateway("b", options);
  /** Both fail, which opens it. Returns for how long it stays open. */
  const open = async () => {
    for (const gateway of [a, b]) {
      gateway.isWell = false;
      assertEquals(await gateway.request(), "failed");
    }
    return (await a.store.acquire(KEY)).retryAfterMs;
  };
  assertEquals(await open(), RESET);
  scene.at += RESET;
  assertEquals(await a.request(), "failed");
  scene.at += 2 * RESET;
  a.isWell = true;
  assertEquals(await a.request(), "passed");
  // The failed round is remembered for one reset timeout.
  assertEquals(await open(), 2 * RESET);
  scene.at += 2 * RESET;
  a.isWell = true;
  assertEquals(await a.request(), "passed");
  scene.at += RESET;
  assertEquals(await open(), RESET);
});

Deno.test("a vote that comes after an operator has opened the circuit does not stand", async () => {
  await using scene = await Scene.open();
  const good = scene.gateway("good", { failureThreshold: 1 });
  const store = scene.store("bad", { failureThreshold: 1 }, (client) => ({
    async query(text, params) {
      if (text.includes("labels_after")) await good.store.forceOpen(KEY);
      return await client.query(text, params);
    },
  }));
  const bad = new Gateway(scene, store, 1);
  bad.isWell = false;
  assertEquals(await bad.request(), "failed");
  assertEquals((await scene.row()).votes, null);
  await good.store.release(KEY);
  bad.isWell = true;
  assertEquals(await bad.request(), "passed");
  assertEquals(await scene.log(), [
    "good: closed -> open by force",
    "good: open -> closed by release",
  ]);
});
