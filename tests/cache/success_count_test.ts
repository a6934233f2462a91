/** Successes that wait: what is shown of them, and which of them count. */

import { assertEquals } from "@std/assert";
import { SuccessCount } from "../../src/cache/success_count.ts";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";
import { openScene, recordMany, stored, until } from "./counting_scene.ts";
import { Scene } from "./model_network.ts";

Deno.test("SuccessCount: neither 200 of 100 successes nor 0 of 100 is shown while they are counted", async () => {
  for (const isCounted of [false, true]) {
    const { scene, one } = await openScene();
    await using _ = scene;
    await recordMany(one, "a", 100);
    await until(scene, one, "flush");
    if (isCounted) await one.execute("flush");
    scene.timers.stall(1001); // so that a read asks the database
    const reads = [
      async () => (await one.read("a"))!.successCount,
      async () => (await one.recordFailure("a")).successCount,
      async () => (await one.cache.readMany(one.call(), ["a"]))[0]!.successCount,
      async () => {
        const options = { state: undefined, after: undefined, limit: 10 };
        return (await one.cache.list(one.call(), options))[0]!.successCount;
      },
      async () => (await one.read("a"))!.successCount,
    ];
    for (const [index, read] of reads.entries()) {
      const flush = one.inFlight.splice(one.inFlight.indexOf(one.find("flush")), 1);
      assertEquals(await one.done(read()), 100, `read ${index}`);
      one.inFlight.push(...flush);
    }
    await one.answer("flush");
    assertEquals((await one.read("a"))!.successCount, 100);
    assertEquals(stored(scene), 100);
  }
});

Deno.test("recordSuccess shows each success once, also those that are counted at once meanwhile", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 100);
  await until(scene, one, "flush");
  scene.timers.stall(1001);
  const flush = one.inFlight.splice(one.inFlight.indexOf(one.find("flush")), 1);
  const records = [1, 2, 3].map(() => one.recordSuccess("a"));
  await one.drain();
  await Promise.all(records);
  assertEquals((await one.read("a"))!.successCount, 103);
  one.inFlight.push(...flush);
  await one.drain();
  assertEquals([(await one.read("a"))!.successCount, stored(scene)], [103, 103]);
});

Deno.test("recordSuccess does not show a success twice that a refresh saw before its answer", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  scene.timers.stall(1001);
  const record = one.recordSuccess("a");
  await one.execute("recordSuccess");
  const read = one.read("a");
  await one.answer("read");
  assertEquals((await read)!.successCount, 1);
  await one.answer("recordSuccess");
  assertEquals((await record).successCount, 1);
  assertEquals((await one.read("a"))!.successCount, 1);
});

Deno.test("SuccessCount: a read from before a count that is answered first shows all the same", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 100);
  await until(scene, one, "flush");
  scene.timers.stall(1001);
  const read = one.read("a");
  await one.execute("read"); // 0 in the database
  await one.answer("flush");
  await one.answer("read");
  assertEquals((await read)!.successCount, 100);
});

Deno.test("SuccessCount: successes that wait while another instance opens and closes by force are counted", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 60);
  const force = { reason: undefined, actor: undefined, forMs: undefined };
  scene.database.force("a", { ...force, state: "closed" });
  scene.database.force("a", { ...force, state: undefined });
  await one.interval();
  await recordMany(one, "a", 40);
  assertEquals((await one.read("a"))!.successCount, 100);
  await until(scene, one, "flush");
  await one.drain();
  assertEquals([(await one.read("a"))!.successCount, stored(scene)], [100, 100]);
});

Deno.test("SuccessCount: a reset that fails drops no success that waits", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 100);
  const reset = one.reset("a").catch(() => {});
  await one.lose("reset");
  await reset;
  assertEquals((await one.read("a"))!.successCount, 100);
  await until(scene, one, "flush");
  await one.drain();
  assertEquals(stored(scene), 100);
});

for (const by of ["this instance", "another"] as const) {
  Deno.test(`SuccessCount: successes from before a zeroing by ${by} do not count, those after it do`, async () => {
    for (const zero of ["transition", "reset"] as const) {
      const { scene, one } = await openScene();
      await using _ = scene;
      await recordMany(one, "a", 100);
      if (by === "another") {
        if (zero === "reset") {
          scene.database.recordFailure("a"); // so that there is something to reset
          scene.database.reset("a");
        } else scene.database.transition("a", "closed");
        await one.interval();
      } else if (zero === "reset") {
        scene.database.recordFailure("a");
        await one.done(one.reset("a"));
      } else await one.done(one.transition("a", "closed"));
      assertEquals((await one.read("a"))?.successCount ?? 0, 0);
      await recordMany(one, "a", 7);
      assertEquals((await one.read("a"))!.successCount, 7);
      await until(scene, one, "flush");
      await one.drain();
      assertEquals(stored(scene), 7, zero);
      assertEquals((await one.read("a"))!.successCount, 7);
    }
  });
}

Deno.test("SuccessCount: a zeroing drops what waits, also where the database has nothing to zero", async () => {
  await using scene = new Scene();
  const one = scene.open();
  for (const key of ["absent", "blank"]) {
    await one.useRegularly(key);
    if (key === "blank") {
      await one.done(one.recordFailure(key));
      await one.done(one.reset(key));
    }
    await recordMany(one, key, 5);
    await one.done(key === "blank" ? one.reset(key) : one.transition(key, "closed"));
    assertEquals((await one.done(one.read(key)))?.successCount ?? 0, 0, key);
    await recordMany(one, key, 2);
    assertEquals((await one.read(key))!.successCount, 2);
    await until(scene, one, "flush");
    await one.drain();
    assertEquals(stored(scene, key), 2);
  }
});

Deno.test("SuccessCount: a reset after a break drops what waits, also before it is read again", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  scene.database.restart();
  await scene.timers.advance(950);
  await one.answer("tail");
  const reset = one.reset("a");
  await one.answer("reset"); // the database has nothing to reset
  assertEquals((await reset)!.successCount, 0);
  await one.drain();
  assertEquals((await one.read("a"))!.successCount, 0);
  await one.done(one.cache.end(one.call()));
  assertEquals(stored(scene), 0);
});

Deno.test("SuccessCount: a write that found no row shows what waits, also where a row was made since", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await one.recordSuccess("a");
  const release = { state: undefined, forMs: undefined, reason: undefined, actor: undefined };
  const released = one.cache.force(one.call(), "a", release);
  await one.execute("force"); // there is no row
  scene.database.recordSuccess("a");
  scene.timers.stall(1001);
  const read = one.read("a");
  await one.answer("read");
  assertEquals((await read)!.successCount, 2);
  await one.answer("force");
  assertEquals((await released).circuit!.successCount, 2);
});

Deno.test("SuccessCount: what waits is shown while the instance ends, also without a row", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await recordMany(one, "a", 3);
  const ended = one.cache.end(one.call());
  const read = one.read("a");
  await one.answer("read");
  assertEquals((await read)!.successCount, 3);
  await one.done(ended);
  assertEquals(stored(scene), 3);
});

Deno.test("SuccessCount drops by the last version that it knew, also of a restored database", () => {
  const successes = new SuccessCount();
  const circuit = { ...ABSENT_CIRCUIT, key: "a" };
  successes.learn({ ...circuit, version: 5, zeroedVersion: 5 }, 1);
  successes.defer(5);
  successes.learn({ ...circuit, version: 2, zeroedVersion: 1 }, 2);
  assertEquals(successes.pending, 1);
  successes.learn({ ...circuit, version: 3, zeroedVersion: 3 }, 3);
  assertEquals(successes.pending, 0);
});

Deno.test("SuccessCount: a success that the database dropped because of a zeroing is not shown", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 100);
  await until(scene, one, "flush");
  scene.database.transition("a", "closed");
  await one.answer("flush");
  assertEquals(stored(scene), 0);
  await one.interval();
  assertEquals((await one.read("a"))!.successCount, 0);
});

Deno.test("reset shows zeros at once, and keeps no read that was asked for before", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  scene.database.transition("a", "open");
  scene.timers.stall(1001);
  const early = one.read("a");
  await one.execute("read");
  const reset = one.reset("a");
  await one.answer("reset");
  assertEquals((await reset)!.state, "closed");
  await one.answer("read");
  assertEquals((await one.done(early))!.state, "closed", "it was asked again");
  assertEquals((await one.read("a"))!.state, "closed");
  // The same for a circuit whose row is gone.
  scene.database.transition("b", "open");
  const other = one.read("b");
  await one.execute("read");
  scene.database.rows.delete("b");
  const again = one.reset("b");
  await one.answer("reset");
  assertEquals(await again, undefined);
  await one.answer("read");
  assertEquals(await one.done(other), undefined);
  assertEquals(await one.read("b"), undefined);
});

Deno.test("prune forgets what was shown, and what it removed", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  await until(scene, one, "flush");
  await one.answer("flush");
  const request = { idleMs: 0, limit: 10, isElected: false };
  assertEquals(await one.done(one.cache.prune(one.call(), request)), 1);
  assertEquals(await one.done(one.read("a")), undefined);
});

Deno.test("SuccessCount shows no more than the row that replaced another", async () => {
  const { scene, one } = await openScene();
  await using _ = scene;
  await recordMany(one, "a", 5);
  await until(scene, one, "flush");
  await one.drain();
  scene.database.rows.delete("a"); // trimmed
  scene.database.recordSuccess("a");
  scene.timers.stall(1001);
  assertEquals((await one.done(one.read("a")))!.successCount, 1);
});
