/** When the cache refreshes. */

import { assert, assertEquals } from "@std/assert";
import { RefreshSchedule } from "../../src/cache/refresh_schedule.ts";
import { Scene, VirtualTimers } from "./model_network.ts";

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

function openSchedule(random: () => number = () => 0.5) {
  const timers = new VirtualTimers();
  const sentAt: number[] = [];
  const schedule = new RefreshSchedule({
    maxStalenessMs: 1000,
    timers,
    random,
    refresh: () => {
      sentAt.push(timers.now());
      return Promise.resolve(true);
    },
    isNeeded: () => true,
  });
  return { timers, schedule, sentAt };
}

Deno.test("RefreshSchedule leaves room for three round trips in the bound, and half of it at most", () => {
  const { schedule } = openSchedule();
  assertEquals(schedule.intervalMs, 950);
  schedule.measured(400); // 100 on average
  assertEquals(schedule.intervalMs, 695);
  schedule.measured(100);
  assertEquals(schedule.intervalMs, 695);
  schedule.measured(2000);
  assertEquals(schedule.intervalMs, 500);
});

Deno.test("RefreshSchedule passes an interval for the use of circuits after three quarters of one", () => {
  const { schedule } = openSchedule();
  schedule.beginInterval(100_000);
  assertEquals(schedule.passInterval(100_712), false);
  assertEquals([schedule.passInterval(100_713), schedule.passInterval(100_714)], [true, false]);
  assertEquals(schedule.passInterval(101_426), true);
});

Deno.test("RefreshSchedule spreads instances over half of the interval after an announcement", async () => {
  for (const [dice, pauseMs] of [[0, 475], [0.8, 855]] as const) {
    const { schedule, timers, sentAt } = openSchedule(() => dice);
    schedule.wake();
    await timers.advance(500);
    schedule.announce();
    await timers.advance(0);
    assertEquals(sentAt, [0, 500]);
    await timers.advance(2000);
    assertEquals(
      sentAt.slice(0, 4),
      [0, 500, 500 + pauseMs, 500 + pauseMs + 950].filter((at) => at <= 2500),
    );
    schedule.end();
  }
});

Deno.test("RefreshSchedule follows an announcement at once where no other one came shortly before", async () => {
  const { schedule, timers, sentAt } = openSchedule();
  schedule.wake();
  await timers.advance(5);
  schedule.announce();
  await timers.advance(0);
  schedule.announce();
  await timers.advance(30);
  assertEquals(sentAt, [0, 5, 25]);
  schedule.end();
});
