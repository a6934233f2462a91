/** When the cache refreshes. */

import { assert, assertEquals } from "@std/assert";
import { Scene } from "./model_network.ts";

Deno.test("CircuitCache sends at most 1.2 statements per bound with everything in use", async () => {
  await using scene = new Scene();
  const one = scene.open({ countWithinMs: 60_000 });
  for (const method of ["tail", "readKnown", "flush", "register", "addCircuits"] as const) {
    one.atOnce.add(method);
  }
  const keys = Array.from({ length: 100 }, (_, index) => `${index}`);
  const use = () => {
    for (const key of keys) void one.read(key);
    for (const key of keys) void one.recordSuccess(key);
  };
  use();
  await one.drain();
  for (let step = 0; step < 40; step++) {
    use();
    await scene.timers.advance(100);
    await one.drain();
  }
  one.sent.length = 0;
  for (let step = 0; step < 3000; step++) {
    use();
    await scene.timers.advance(100);
    await one.drain();
  }
  assert(one.sent.length <= 300 * 1.2, `${one.sent.length} statements in 300 bounds`);
  assertEquals(scene.database.read("7")!.successCount > 2000, true);
});

Deno.test("CircuitCache refreshes soon after an announcement, and not too often", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  const tails = () => one.sent.filter((method) => method === "tail").length;
  await scene.timers.advance(200);
  const before = tails();
  for (let each = 0; each < 100; each++) {
    scene.database.transition("a", each % 2 === 0 ? "open" : "closed");
    one.listener!();
    await scene.timers.advance(1);
    await one.drain();
  }
  assert(tails() - before <= 6, `${tails() - before} refreshes in 100 ms`);
  await scene.timers.advance(20);
  await one.drain();
  assertEquals((await one.read("a"))!.version, 100, "the last announcement was heard");
});

Deno.test("CircuitCache refreshes again after an announcement during a refresh", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await scene.timers.advance(950);
  await one.execute("tail");
  scene.database.transition("a", "open");
  one.sent.length = 0;
  one.listener!();
  await scene.timers.advance(100);
  assertEquals(one.sent, [], "one refresh at a time");
  await one.answer("tail");
  await scene.timers.advance(100);
  await one.drain();
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("CircuitCache keeps refreshing in its interval however often changes are announced", async () => {
  await using scene = new Scene();
  const one = scene.open({ maxStalenessMs: 200 });
  await one.done(one.read("a"));
  for (let each = 0; each < 100; each++) {
    one.listener!();
    await scene.timers.advance(10);
    await one.drain();
    assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
  }
  // Circuits in regular use are read whole, although no refresh came by itself.
  assert(one.sent.filter((method) => method === "readKnown").length >= 1);
});

Deno.test("CircuitCache leaves a tenth of the bound between the end of a slow refresh and the next", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await scene.timers.advance(950);
  await scene.timers.advance(3000);
  one.sent.length = 0;
  await one.answer("tail");
  await scene.timers.advance(99);
  assertEquals(one.sent, []);
  await scene.timers.advance(1);
  assertEquals(one.sent, ["tail"]);
});

Deno.test("CircuitCache that ends during a refresh sends nothing after it, and keeps no timer", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const read = one.read("a");
  await one.answer("read");
  await read;
  assert(one.inFlight.some(({ method }) => method === "tail"));
  const ended = one.cache.end(one.call());
  one.sent.length = 0;
  await one.answer("tail");
  await one.drain();
  await ended;
  await scene.timers.advance(100_000);
  assertEquals([one.sent, scene.timers.size], [[], 0]);
});
