/** Successes that are counted later, each exactly once. */

import { assert, assertEquals } from "@std/assert";
import { openScene, recordMany, stored, until } from "./counting_scene.ts";
import { Scene, settle } from "./model_network.ts";

Deno.test("recordSuccess waits in memory, and is counted within countWithinMs", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  one.sent.length = 0;
  await recordMany(one, "a", 100);
  assertEquals(one.sent, []);
  assertEquals((await one.read("a"))!.successCount, 100);
  assertEquals(one.cache.pending, 100);
  const from = scene.timers.now();
  await until(scene, one, "flush");
  const waited = scene.timers.now() - from;
  assert(waited >= 5000 && waited <= 10_000, `${waited} ms`);
  await one.answer("flush");
  assertEquals([stored(scene), one.cache.pending], [100, 0]);
  assertEquals((await one.read("a"))!.successCount, 100);
});

Deno.test("recordSuccess spreads first statements over countWithinMs, and later ones over its end", async () => {
  const waited: [first: number, second: number][] = [];
  for (const dice of [0, 0.999]) {
    await using scene = new Scene();
    const one = scene.open({ random: () => dice });
    scene.database.addCircuits(["a"]);
    await one.useRegularly("a");
    const wait = async () => {
      await one.recordSuccess("a");
      const from = scene.timers.now();
      await until(scene, one, "flush");
      const ms = scene.timers.now() - from;
      await one.drain();
      return ms;
    };
    waited.push([await wait(), await wait()]);
  }
  const [earliest, latest] = waited as [[number, number], [number, number]];
  assert(earliest[0] >= 1500 && earliest[0] < 2000, `${earliest}`);
  assert(earliest[1] >= 7500 && earliest[1] < 8000, `${earliest}`);
  for (const ms of latest) assert(ms > 9000 && ms <= 9500, `${latest}`);
});

Deno.test("recordSuccess is counted at once where the circuit is unknown, open or forced", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await one.done(one.recordSuccess("unknown"));
  assertEquals(stored(scene, "unknown"), 1);
  await one.done(one.transition("a", "open"));
  await one.done(one.recordSuccess("a"));
  assertEquals(stored(scene), 1);
  await one.done(one.transition("a", "closed"));
  const force = { state: "closed", forMs: undefined, reason: undefined, actor: undefined } as const;
  await one.done(one.cache.force(one.call(), "a", force));
  await one.done(one.recordSuccess("a"));
  assertEquals(stored(scene), 1);
});

Deno.test("Flusher: a flush that found another one running is sent again, with its content and number", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  scene.database.isTokenTaken = true;
  await until(scene, one, "flush");
  await one.answer("flush");
  assertEquals(stored(scene), 0);
  await recordMany(one, "a", 2);
  const from = scene.timers.now();
  await until(scene, one, "flush");
  assertEquals(
    scene.timers.now() - from,
    1000,
    "the bound, which is less than an eighth of the time",
  );
  scene.database.isTokenTaken = false;
  await one.answer("flush");
  assertEquals(scene.database.instances.get("instance 0")!.flush, 1);
  await until(scene, one, "flush");
  await one.answer("flush");
  assertEquals([stored(scene), scene.database.instances.get("instance 0")!.flush], [7, 2]);
  assert(!one.sent.includes("findFlush"), "its fate was known");
});

Deno.test("Flusher sends nothing more while a flush is under way", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  await until(scene, one, "flush");
  await recordMany(one, "a", 2);
  await scene.timers.advance(9900);
  assertEquals(one.sent.filter((method) => /flush/i.test(method)), ["flush"]);
  await one.drain();
  await until(scene, one, "flush");
  await one.drain();
  assertEquals(stored(scene), 7);
});

Deno.test("Flusher sends a flush again after an eighth of the time where that is less than the bound", async () => {
  await using scene = new Scene();
  scene.database.addCircuits(["a"]);
  const one = scene.open({ countWithinMs: 2000, random: () => 0.1 });
  await one.useRegularly("a");
  await recordMany(one, "a", 5);
  scene.database.isTokenTaken = true;
  await until(scene, one, "flush");
  await one.answer("flush");
  const from = scene.timers.now();
  await until(scene, one, "flush");
  assertEquals(scene.timers.now() - from, 150, "half of it to one and a half");
  scene.database.isTokenTaken = false;
});

for (const isExecuted of [true, false]) {
  Deno.test(`Flusher: a lost flush that was ${isExecuted ? "" : "not "}executed counts exactly once`, async () => {
    const { scene, one } = await openScene();
    await using _ = scene;
    await recordMany(one, "a", 5);
    await until(scene, one, "flush");
    if (isExecuted) await one.execute("flush");
    await one.lose("flush");
    await until(scene, one, "findFlush");
    await one.lose("findFlush"); // its fate is looked for until it is known
    await recordMany(one, "a", 2);
    assertEquals((await one.read("a"))!.successCount, 7);
    await until(scene, one, "findFlush");
    await one.answer("findFlush");
    for (let step = 0; step < 400; step++) {
      await scene.timers.advance(50);
      await one.drain();
    }
    const shown = (await one.done(one.read("a")))!.successCount;
    assertEquals([shown, stored(scene)], [7, 7]);
    assertEquals(one.errors, []);
  });
}

Deno.test("Flusher counts nothing else while a flush that is lost again has no result", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  await until(scene, one, "flush");
  await one.lose("flush");
  await recordMany(one, "a", 2);
  await until(scene, one, "findFlush");
  await one.answer("findFlush"); // it has counted nothing yet
  await one.lose("flush");
  await settle();
  assertEquals(one.inFlight.filter(({ method }) => method === "flush"), []);
  await until(scene, one, "findFlush");
  await one.drain();
  assertEquals([stored(scene), one.cache.pending], [7, 0]);
});

Deno.test("Flusher: each piece has its own number, so that one that fails takes nothing with it", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  const keys = Array.from({ length: 2500 }, (_, index) => `${index}`);
  scene.database.addCircuits(keys);
  for (const key of keys) void one.read(key);
  await one.drain();
  for (const key of keys) await one.recordSuccess(key);
  await until(scene, one, "flush");
  await one.answer("flush");
  await one.execute("flush");
  await one.lose("flush");
  for (let step = 0; step < 300; step++) {
    await scene.timers.advance(50);
    await one.drain();
  }
  for (const key of keys) assertEquals(stored(scene, key), 1);
  assertEquals(scene.database.instances.get("instance 0")!.flush, 3);
});

Deno.test("Flusher: what a flush leaves over is counted by a later one: locked rows, and missing ones", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  scene.database.addCircuits(["missing"]);
  await one.useRegularly("missing");
  await recordMany(one, "a", 5);
  await recordMany(one, "missing", 3);
  await until(scene, one, "flush");
  scene.database.locked.add("a");
  scene.database.rows.delete("missing"); // trimmed
  await one.drain();
  assertEquals([stored(scene), stored(scene, "missing")], [0, 0]);
  assertEquals((await one.read("a"))!.successCount, 5);
  assertEquals((await one.read("missing"))!.successCount, 3);
  scene.database.locked.clear();
  await until(scene, one, "flush");
  await one.drain();
  assertEquals([stored(scene), stored(scene, "missing")], [5, 3]);
});

Deno.test("Flusher: a key that is used in one interval only leaves no row, one in regular use gets one", async () => {
  await using scene = new Scene();
  const one = scene.open({ countWithinMs: 2000 });
  for (let key = 0; key < 50; key++) {
    await one.done(one.read(`flood ${key}`));
    await one.recordSuccess(`flood ${key}`);
  }
  for (let interval = 0; interval < 20; interval++) {
    await one.done(one.read("regular"));
    await one.recordSuccess("regular");
    await one.interval();
  }
  assertEquals([...scene.database.rows.keys()], ["regular"]);
  await one.done(one.cache.end(one.call()));
  assertEquals([...scene.database.rows.keys()], ["regular"]);
  assertEquals(stored(scene, "regular"), 20);
});

Deno.test("Flusher: a removed row of the instance drops the content once, is reported, and is made again", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  scene.database.instances.clear();
  await until(scene, one, "flush");
  await one.drain();
  assertEquals(one.errors.length, 1);
  assertEquals(
    (one.errors[0] as Error).message,
    "Cannot count successes: the row of this instance was removed: " +
      "5 acknowledged successes can be missing",
  );
  assertEquals((await one.done(one.read("a")))!.successCount, 0);
  await recordMany(one, "a", 2);
  await until(scene, one, "flush");
  await one.drain();
  assertEquals([stored(scene), (await one.read("a"))!.successCount], [2, 2]);
  assertEquals(one.errors.length, 1);
});

Deno.test("Flusher: the row of the instance is made at the first refresh, and renewed without successes", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const first = one.read("a");
  await settle();
  await one.answer("tail");
  assert(one.inFlight.some(({ method }) => method === "register"));
  await one.lose("register");
  await one.done(first);
  await scene.timers.advance(950);
  await one.drain();
  assert(scene.database.instances.has("instance 0"), "it is tried again");
  one.sent.length = 0;
  for (let interval = 0; interval < 130; interval++) {
    await one.done(one.read("a"));
    await one.interval();
  }
  assertEquals(one.sent.filter((method) => method === "register").length, 2);
});

Deno.test("Flusher reads whole what a flush left over, and makes the rows that are missing", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  scene.database.addCircuits(["trimmed"]);
  for (const key of ["trimmed", "without a row"]) {
    await one.useRegularly(key);
    await one.recordSuccess(key);
  }
  await until(scene, one, "flush");
  one.sent.length = 0;
  scene.database.rows.delete("trimmed");
  scene.database.rows.delete("without a row"); // it was made for this flush
  await one.answer("flush");
  // That one had no row is known already.
  assertEquals(one.find("readKnown").keys, ["trimmed"]);
  await one.answer("readKnown");
  const from = scene.timers.now();
  await until(scene, one, "flush");
  assertEquals(scene.timers.now() - from, 1000, "soon");
  await one.drain();
  assertEquals([stored(scene, "trimmed"), stored(scene, "without a row")], [1, 1]);
});
