/** The successes that wait when an instance ends. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CacheEntries } from "../../src/cache/entries.ts";
import { LastCount } from "../../src/cache/last_count.ts";
import type { Origin } from "../../src/cache/origin.ts";
import {
  CircuitBreakerStoreError,
  isCircuitBreakerStoreError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../src/errors.ts";
import { type CallDeadlines, Deadlines } from "../../src/time/deadlines.ts";
import { openScene, recordMany, stored, until } from "./counting_scene.ts";
import { settle, VirtualTimers } from "./model_network.ts";

Deno.test("end counts what waits, also of keys without a row, and later calls go to the database", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await one.done(one.read("new"));
  await recordMany(one, "a", 5);
  await recordMany(one, "new", 2);
  one.sent.length = 0;
  await one.done(one.cache.end(one.call()));
  assertEquals(one.sent, ["countDeferred"]);
  assertEquals([stored(scene), stored(scene, "new")], [5, 2]);
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
  await one.done(one.recordSuccess("a"));
  assertEquals(stored(scene), 6);
  assertEquals([scene.timers.size, one.listener], [0, undefined]);
});

for (
  const fate of [
    "counts",
    "is lost after it counted",
    "is lost before it counts",
    "is busy",
  ] as const
) {
  Deno.test(`end counts each success once where a flush in flight ${fate}`, async () => {
    const { scene, one } = await openScene();
    await using _ = scene;
    await recordMany(one, "a", 5);
    await until(scene, one, "flush");
    await recordMany(one, "a", 2);
    const ended = one.cache.end(one.call());
    ended.catch(() => {});
    await settle();
    assertEquals(one.inFlight.map(({ method }) => method), ["flush"], "it waits for the flush");
    const during = one.read("a");
    await one.answer("read");
    assertEquals((await during)!.successCount, 7);
    if (fate === "is busy") scene.database.isTokenTaken = true;
    if (fate === "is lost after it counted") await one.execute("flush");
    if (fate.startsWith("is lost")) await one.lose("flush");
    else await one.answer("flush");
    scene.database.isTokenTaken = false;
    await one.done(ended);
    assertEquals(stored(scene), 7);
    // What became of the others is known.
    assertEquals(one.sent.includes("findFlush"), fate.startsWith("is lost"));
  });
}

Deno.test("end sends a flush of unknown fate again until it is final, not otherwise", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  await until(scene, one, "flush");
  await one.lose("flush");
  const ended = one.cache.end(one.call());
  ended.catch(() => {});
  await one.answer("findFlush");
  scene.database.isTokenTaken = true;
  await one.answer("flush");
  // The lost statement may still count it: it is no ordinary record.
  assert(!one.sent.includes("countDeferred"));
  scene.database.isTokenTaken = false;
  await scene.timers.advance(19);
  assertEquals(one.inFlight, []);
  await scene.timers.advance(1);
  await one.answer("findFlush");
  await one.answer("flush");
  await ended;
  assertEquals(stored(scene), 5);
});

Deno.test("end says how many successes were not counted, and counts the other pieces", async () => {
  const { scene, one } = await openScene();
  const keys = Array.from({ length: 1500 }, (_, index) => `${index}`);
  for (const key of keys) void one.read(key);
  await one.drain();
  for (const key of keys) await recordMany(one, key, 2);
  const ended = one.cache.end(one.call());
  ended.catch(() => {});
  await one.lose("countDeferred");
  await one.answer("countDeferred");
  const error = await assertRejects(() => ended);
  assert(isCircuitBreakerStoreError(error));
  assertStringIncludes(error.message, "Cannot close store: 2000 acknowledged successes were not");
  assertEquals(keys.reduce((sum, key) => sum + stored(scene, key), 0), 1000);
  one.deadlines.stop();
});

/** A last count by itself, and the entry of a key without a row. */
function openLastCount(origin: Partial<Origin>, deadlines: CallDeadlines) {
  const entries = new CacheEntries({ clock: () => 0, now: undefined }, false, () => {});
  const question = entries.ask("a");
  const entry = question.entry!;
  entries.learnRead(entry, undefined, question);
  const last = new LastCount(origin as Origin, entries, {
    ...{ instance: { id: "one", label: "one", boundMs: 1000 }, deadlines, random: () => 0 },
    timers: new VirtualTimers(),
  });
  return { last, entry };
}

Deno.test("end reports what was not counted by the class of its cause, and with it", async () => {
  const other = new Error("Cannot count: a row of another kind");
  for (
    const [cause, type] of [
      [new StoreTimeoutError("late"), StoreTimeoutError],
      [new StoreUnavailableError("away"), StoreUnavailableError],
      [other, CircuitBreakerStoreError],
    ] as const
  ) {
    const deadlines = new Deadlines(1000);
    const { last, entry } = openLastCount(
      { countDeferred: () => Promise.reject(cause) },
      deadlines,
    );
    for (let time = 0; time < 3; time++) entry.defer(0);
    const error = await assertRejects(
      () => last.run(deadlines.begin(), () => Promise.resolve(undefined), () => {}),
      CircuitBreakerStoreError,
      "Cannot close store: 3 acknowledged successes were not counted: ",
    );
    assertEquals([error.constructor, error.cause], [type, cause]);
    assert(error.message.endsWith(cause.message), error.message);
  }
});

Deno.test("end gives no reason where the fate of a flush stayed unknown to its deadline", async () => {
  const busy = () => Promise.resolve({ outcome: "busy" as const });
  const call = { beganAt: 0, dueAt: 0 };
  const patient: CallDeadlines = {
    begin: () => call,
    race: (_call, _action, work) => work,
    wasHeldUpSince: () => false,
  };
  const { last, entry } = openLastCount({ findFlush: busy, flush: busy }, patient);
  entry.defer(0);
  const flush = { number: 1, deferred: [{ key: "a", ...entry.successes.take(1) }] };
  const open = { flush, entries: [entry], isLost: true };
  const error = await assertRejects(() => last.run(call, () => Promise.resolve(open), () => {}));
  assertEquals(
    (error as Error).message,
    "Cannot close store: 1 acknowledged successes were not counted",
  );
});
