/** Rates with a cache: what decides whether a rate is due must not lack the successes that wait. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { StoreTimeoutError } from "../../mod.ts";
import { CacheEntries } from "../../src/cache/entries.ts";
import type { CircuitCacheOptions, Origin } from "../../src/cache/origin.ts";
import { Suspects } from "../../src/cache/suspects.ts";
import { ABSENT_CIRCUIT, NO_DETAILS } from "../../src/circuit.ts";
import { beginCall } from "../../src/time/call.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import { recordMany, stored } from "./counting_scene.ts";
import { type ModelInstance, Scene, settle, VirtualTimers } from "./model_network.ts";

const WINDOW_MS = 5000;

async function openRated(
  options: Partial<CircuitCacheOptions> = {},
): Promise<{ scene: Scene; one: ModelInstance }> {
  const scene = new Scene();
  scene.database.addCircuits(["a"]);
  const one = scene.open({ rateWindowMs: WINDOW_MS, countWithinMs: 60_000, ...options });
  await one.useRegularly("a");
  one.sent.length = 0;
  return { scene, one };
}

/** The count that is shown, and how many successes wait. */
async function shown(one: ModelInstance): Promise<number> {
  return (await one.done(one.read("a")))!.successCount;
}

Deno.test("the successes of a circuit that wait are counted before its failure, each once", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  await recordMany(one, "a", 7);
  const failed = one.recordFailure("a");
  // What is acknowledged meanwhile is counted before the next failure.
  await recordMany(one, "a", 2);
  assertEquals((await one.done(failed)).failureCount, 1);
  assertEquals(stored(scene), 7);
  assertEquals((await one.done(one.recordFailure("a"))).failureCount, 2);
  assertEquals([stored(scene), await shown(one)], [9, 9]);
  assertEquals(one.sent, ["countDeferred", "recordFailure", "countDeferred", "recordFailure"]);
  await recordMany(one, "a", 1);
  assertEquals(await shown(one), 10);
});

Deno.test("successes wait longer than a failure without a rate", async () => {
  const { scene, one } = await openRated({ rateWindowMs: undefined });
  await using _ = scene;
  await recordMany(one, "a", 7);
  await one.done(one.recordFailure("a"));
  assertEquals([stored(scene), await shown(one)], [0, 7]);
});

Deno.test("an instance without rates does nothing about a suspect circuit", async () => {
  const { scene, one } = await openRated({ rateWindowMs: undefined });
  await using _ = scene;
  await recordMany(one, "a", 7);
  scene.database.addCircuits(["b"]);
  for (const key of ["a", "b"]) scene.database.suspect(key);
  await one.interval();
  assertEquals([stored(scene), await shown(one)], [0, 7]);
  assertEquals((await one.done(one.read("b")))!.details.suspectAt > 0, true);
});

Deno.test("Suspects counts at once for a new suspicion only, and not for one that is over", async () => {
  const clock = { at: 50_000 };
  const entries = new CacheEntries({ clock: () => clock.at, now: () => clock.at }, false, () => {});
  const timers = new VirtualTimers();
  let runs = 0;
  timers.run = (work) => {
    runs++;
    void work();
  };
  const options = { maxStalenessMs: 1000, windowMs: WINDOW_MS, clock: () => clock.at };
  const suspects = new Suspects({ isOut: false } as Origin, entries, {
    ...{ ...options, deadlines: new Deadlines(1000), timers },
  });
  const note = async (suspectAt: number) => {
    const question = entries.ask("a");
    const details = { ...NO_DETAILS, suspectAt };
    const circuit = { ...ABSENT_CIRCUIT, key: "a", version: runs + 1, details };
    entries.learnRead(question.entry!, circuit, question);
    entries.end(question.entry);
    suspects.note(question.entry!, suspectAt);
    await settle();
    return runs;
  };
  assertEquals([await note(clock.at - WINDOW_MS), timers.size], [0, 0]);
  assertEquals([await note(49_000), timers.size], [1, 1]);
  assertEquals([await note(49_000), timers.size], [1, 1]);
  assertEquals([await note(49_500), timers.size], [2, 1]);
  await suspects.end();
  assertEquals([await note(49_600), timers.size], [2, 0]);
});

Deno.test("an instance waits for nothing once no circuit is suspect any more", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  const delays: number[] = [];
  const start = scene.timers.start.bind(scene.timers);
  scene.timers.start = (run, delayMs) => {
    delays.push(delayMs);
    return start(run, delayMs);
  };
  scene.database.suspect("a");
  for (let interval = 0; interval < 7; interval++) await one.interval();
  assert(delays.includes(250), `${delays}`);
  assert(delays.every(Number.isFinite), `${delays}`);
});

Deno.test("a slow success is recorded at once where slow calls count", async () => {
  for (const hasSlowRate of [true, false]) {
    const { scene, one } = await openRated({ hasSlowRate });
    await using _ = scene;
    await recordMany(one, "a", 3);
    await one.done(one.cache.recordSuccess(one.call(), "a", true));
    assertEquals([stored(scene), await shown(one)], hasSlowRate ? [4, 4] : [0, 4]);
  }
});

Deno.test("successes count at most once where the statement before a failure is lost", async () => {
  for (const isExecuted of [true, false]) {
    const { scene, one } = await openRated();
    await using _ = scene;
    await recordMany(one, "a", 7);
    const failed = one.recordFailure("a");
    if (isExecuted) await one.execute("countDeferred");
    await one.lose("countDeferred");
    // The failure is recorded all the same.
    assertEquals((await one.done(failed)).failureCount, 1);
    await one.interval();
    await one.done(one.cache.end(one.call()));
    assertEquals(stored(scene), isExecuted ? 7 : 0);
  }
});

Deno.test("successes that are zeroed before they are counted do not count", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  await recordMany(one, "a", 7);
  const failed = one.recordFailure("a");
  scene.database.transition("a", "closed");
  await one.done(failed);
  assertEquals([stored(scene), await shown(one)], [0, 0]);
  await recordMany(one, "a", 1);
  assertEquals(await shown(one), 1);
});

Deno.test("an instance counts what waits for a suspect circuit, every quarter of the bound", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  await recordMany(one, "a", 7);
  scene.database.suspect("a");
  await one.interval();
  assertEquals([stored(scene), await shown(one)], [7, 7]);
  for (let time = 1; time <= 4; time++) {
    await recordMany(one, "a", 1);
    await scene.timers.advance(250);
    await one.drain();
    assertEquals(stored(scene), 7 + time);
  }
  // Suspicion ends with the window.
  for (let interval = 0; interval < 5; interval++) await one.interval();
  one.sent.length = 0;
  await recordMany(one, "a", 5);
  await scene.timers.advance(800);
  await one.drain();
  assertEquals(one.sent.filter((method) => method === "countDeferred"), []);
  assertEquals(await shown(one), 16);
});

Deno.test("what waits is at most an eighth of a suspicion old, and costs few statements", async () => {
  const { scene, one } = await openRated({ rateWindowMs: 60_000 });
  await using _ = scene;
  scene.database.suspect("a");
  const since = scene.timers.now();
  await one.interval();
  one.sent.length = 0;
  for (let calls = 1; calls <= 550; calls++) {
    await one.done(one.recordSuccess("a"));
    await scene.timers.advance(100);
    await one.drain();
    const waiting = calls - stored(scene);
    const most = Math.max(250, (scene.timers.now() - since) / 8) / 100;
    assert(waiting <= most + 1, `${waiting} wait after ${calls}`);
  }
  const counts = one.sent.filter((method) => method === "countDeferred").length;
  assert(counts >= 25 && counts <= 40, `${counts} statements`);
});

Deno.test("a new suspicion is heard while an old one waits for long", async () => {
  const { scene, one } = await openRated({ rateWindowMs: 60_000 });
  await using _ = scene;
  scene.database.addCircuits(["b"]);
  scene.database.suspect("a");
  for (let interval = 0; interval < 40; interval++) {
    await one.done(one.read("b"));
    await one.interval();
  }
  await recordMany(one, "b", 3);
  scene.database.suspect("b");
  await one.interval();
  assertEquals(stored(scene, "b"), 3);
  await recordMany(one, "b", 1);
  await scene.timers.advance(250);
  await one.drain();
  assertEquals(stored(scene, "b"), 4);
});

Deno.test("successes of a suspect circuit whose statement was lost count at most once", async () => {
  for (const isExecuted of [true, false]) {
    const { scene, one } = await openRated();
    await using _ = scene;
    await recordMany(one, "a", 7);
    scene.database.suspect("a");
    await scene.timers.advance(950);
    await one.answer("tail");
    if (isExecuted) await one.execute("countDeferred");
    await one.lose("countDeferred");
    for (let interval = 0; interval < 3; interval++) await one.interval();
    await one.done(one.cache.end(one.call()));
    assertEquals(stored(scene), isExecuted ? 7 : 0);
  }
});

Deno.test("an instance that ends waits for the statement that counts before a failure", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  await recordMany(one, "a", 7);
  const failed = one.recordFailure("a");
  await settle();
  one.find("countDeferred");
  await one.done(one.cache.end(one.call()));
  await one.done(failed);
  assertEquals(stored(scene), 7);
});

Deno.test("an instance that ends reports successes whose statement before a failure is not answered", async () => {
  const { scene, one } = await openRated({ deadlines: new Deadlines(30) });
  await using _ = scene;
  await recordMany(one, "a", 7);
  const failed = one.recordFailure("a");
  await settle();
  const call = beginCall(30);
  await assertRejects(
    () => one.cache.end(call),
    StoreTimeoutError,
    "7 acknowledged successes were not counted: Cannot count successes: no answer in 30 ms",
  );
  await one.done(failed);
});

Deno.test("an instance sends nothing for a suspect circuit during an outage, and after its end", async () => {
  const { scene, one } = await openRated();
  await using _ = scene;
  scene.database.suspect("a");
  await one.interval();
  await recordMany(one, "a", 3);
  one.sent.length = 0;
  one.isOut = true;
  await scene.timers.advance(600);
  assertEquals(one.sent, []);
  one.isOut = false;
  await one.done(one.cache.end(one.call()));
  one.sent.length = 0;
  await scene.timers.advance(2000);
  assertEquals(one.sent, []);
  assert(scene.timers.size === 0, "no timer is left");
});
