/** Outages in a runtime in which only calls begin anything. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CHECK, EdgeScene, pass, TIMEOUT_MS } from "./scene.ts";

/** Makes requests until a condition holds. */
async function callUntil(
  scene: EdgeScene,
  call: () => Promise<unknown>,
  holds: () => boolean,
): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) {
    await scene.run(() => call().catch(() => {}));
    await pass(10);
  }
  assert(holds(), "it did not come true");
}

Deno.test("calls check a database that is out, one check at a time, and end the outage", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ onOutage: "local" });
  const call = () => store.recordFailure("a");
  await scene.run(call);
  scene.client.isDown = true;
  await scene.run(call);
  assertEquals(scene.outages, [true]);
  const sent = scene.client.statements.length;
  await pass(200);
  assertEquals(scene.client.statements.length, sent, "nothing happens between calls");
  // One of the calls finds the check due and begins it; the others find it under way.
  await Promise.all(Array.from({ length: 10 }, () => scene.run(call)));
  assertEquals(scene.client.statements.length, sent + 1);
  scene.client.isDown = false;
  await callUntil(scene, call, () => scene.outages.length === 2);
  assertEquals(scene.outages, [true, false]);
});

Deno.test("a check whose request is cancelled is followed by another one", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ onOutage: "local" });
  const call = () => store.getState("a");
  scene.client.isDown = true;
  await scene.run(call);
  await scene.cancelWhichever(CHECK, call);
  scene.client.isDown = false;
  await scene.run(call);
  assertEquals(scene.outages, [true], "the check that was cancelled may still be answered");
  await pass(2 * TIMEOUT_MS);
  await callUntil(scene, call, () => scene.outages.length === 2);
  assertEquals(scene.outages, [true, false]);
});

Deno.test("a call long after the last check asks the database itself", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ timeoutMs: 200 });
  scene.client.isDown = true;
  await scene.run(() => assertRejects(() => store.getState("a"), Error, "connect"));
  await scene.run(() => assertRejects(() => store.getState("a"), Error, "it is out"));
  scene.client.isDown = false;
  await pass(2 * 200 + 1000);
  assertEquals((await scene.run(() => store.getState("a"))).state, "closed");
});
