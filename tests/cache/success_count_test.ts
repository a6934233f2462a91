/** Successes that wait: what is shown of them, and which of them count. */

import { assertEquals } from "@std/assert";
import { SuccessCount } from "../../src/cache/success_count.ts";
import { ABSENT_CIRCUIT, type Circuit } from "../../src/circuit.ts";
import { MAX_COUNT } from "../../src/types.ts";
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

/** A circuit with a number of successes in the database. */
function counted(successCount: number, zeroedVersion = 5, version = zeroedVersion): Circuit {
  return { ...ABSENT_CIRCUIT, key: "a", successCount, zeroedVersion, version };
}

/** The successes of a circuit that was read like this. */
function known(circuit: Circuit | undefined): SuccessCount {
  const successes = new SuccessCount();
  successes.learn(circuit, 1);
  return successes;
}

function deferMany(successes: SuccessCount, times: number, isSlow = false): void {
  for (let time = 0; time < times; time++) successes.defer(5, isSlow);
}

Deno.test("SuccessCount knows of each success whether it waits or is being counted, and which were slow", () => {
  const successes = known(counted(10));
  deferMany(successes, 2);
  deferMany(successes, 3, true);
  assertEquals([successes.waiting, successes.beingCounted, successes.pending], [5, 0, 5]);
  const taken = successes.take(2);
  assertEquals(taken, { successes: 5, slow: 3, version: 5 });
  assertEquals([successes.waiting, successes.beingCounted, successes.pending], [0, 5, 5]);
  successes.putBack(taken);
  assertEquals([successes.waiting, successes.beingCounted], [5, 0]);
  assertEquals(successes.take(3), taken);
  deferMany(successes, 1);
  assertEquals(successes.take(4), { successes: 1, slow: 0, version: 5 });
  successes.wasCounted(taken, 5);
  assertEquals([successes.pending, successes.shown], [1, 16]);
  successes.drop({ successes: 1, version: 5 });
  assertEquals([successes.pending, successes.of(counted(15))], [0, 15]);
});

Deno.test("SuccessCount: what was taken before a zeroing is not put back, nor are its slow ones", () => {
  const successes = known(counted(10));
  deferMany(successes, 4, true);
  const before = successes.take(2);
  successes.learn(counted(0, 7), 3);
  assertEquals([successes.pending, successes.shown, successes.version], [0, 0, 7]);
  deferMany(successes, 1);
  successes.putBack(before);
  assertEquals(successes.take(4), { successes: 1, slow: 0, version: 5 });
  // Part of another take is not known to be slow.
  successes.putBack({ successes: 3, slow: 2, version: 5 });
  assertEquals(successes.take(5), { successes: 1, slow: 0, version: 5 });
});

Deno.test("SuccessCount: a zeroing drops what waits where it is later than the successes, and only then", () => {
  for (const [zeroedVersion, left] of [[5, 3], [6, 0]] as const) {
    const successes = known(counted(10, 5));
    deferMany(successes, 3, true);
    successes.learn(counted(2, zeroedVersion, 6), 2);
    assertEquals(successes.pending, left);
    assertEquals(successes.take(3).slow, left);
  }
  const absent = known(counted(10));
  deferMany(absent, 3);
  absent.learn(undefined, 2);
  assertEquals([absent.pending, absent.version, absent.shown], [3, 0, 3]);
});

Deno.test("SuccessCount shows the highest of what is certain, and of another zeroing only what it says", () => {
  const successes = known(counted(10));
  successes.observe(counted(12));
  assertEquals(successes.shown, 12);
  successes.observe(counted(11));
  assertEquals(successes.shown, 12);
  for (const zeroedVersion of [4, 6]) successes.observe(counted(100, zeroedVersion));
  successes.observe(undefined);
  assertEquals(successes.shown, 12);
  successes.learn(counted(11), 2);
  assertEquals(successes.shown, 12);
  successes.learn(counted(3, 6), 3);
  assertEquals(successes.shown, 3);
  const absent = known(undefined);
  absent.observe(undefined);
  absent.observe(counted(4, 0));
  assertEquals(absent.shown, 4);
});

Deno.test("SuccessCount.of adds what waits to a circuit of its own zeroing", () => {
  const successes = known(counted(10, 5, 6));
  deferMany(successes, 2);
  assertEquals([counted(9), counted(11)].map((circuit) => successes.of(circuit)), [12, 13]);
  // Of an earlier zeroing it is not, of one that is not known yet it may not be.
  assertEquals([counted(30, 4), counted(30, 7)].map((circuit) => successes.of(circuit)), [30, 30]);
  successes.forget();
  successes.defer(6);
  assertEquals([6, 7].map((zeroed) => successes.of(counted(1, zeroed))), [4, 1]);
});

Deno.test("SuccessCount.of shows no less than it did before, also of a circuit that was not taken over", () => {
  const successes = known(counted(0, 5, 6));
  deferMany(successes, 2);
  assertEquals(successes.of(counted(2)), 4);
  assertEquals(successes.shown, 4);
  // These two are being counted, and may be in the next answer.
  successes.take(3);
  assertEquals(successes.of(counted(3)), 4);
});

Deno.test("SuccessCount has fallen where an answer to a later question lacks what was shown", () => {
  const successes = known(counted(10));
  const asked = (order: number) => ({ order, at: 0 });
  deferMany(successes, 2);
  assertEquals(successes.hasFallen(counted(9), asked(2)), true);
  assertEquals(successes.hasFallen(counted(10), asked(2)), false);
  assertEquals(successes.hasFallen(counted(9, 6), asked(2)), false);
  assertEquals(successes.hasFallen(undefined, asked(2)), false);
  successes.wasCounted(successes.take(3), 4);
  assertEquals(successes.hasFallen(counted(11), asked(4)), false);
  assertEquals(successes.hasFallen(counted(11), asked(5)), true);
  assertEquals(successes.hasFallen(counted(12), asked(5)), false);
  assertEquals(known(undefined).hasFallen(undefined, asked(5)), false);
});

Deno.test("SuccessCount shows a success that was counted at once, unless the answer says it already", () => {
  const asked = (order: number) => ({ order, at: 0 });
  const successes = known(counted(10));
  successes.wasRecorded(counted(11), asked(2), 3);
  assertEquals(successes.shown, 11);
  successes.observe(counted(12));
  successes.wasRecorded(counted(12), asked(4), 5);
  assertEquals(successes.shown, 12);
  // One that was asked for before the mark may be in it; another zeroing has no part in it.
  successes.take(10);
  successes.wasRecorded(counted(12), asked(9), 11);
  successes.wasRecorded(counted(12, 6), asked(12), 13);
  successes.wasRecorded(undefined, asked(12), 13);
  assertEquals(successes.shown, 12);
  successes.wasRecorded(counted(12), asked(10), 14);
  assertEquals(successes.shown, 13);
  assertEquals(successes.hasFallen(counted(1), asked(14)), false);
});

Deno.test("SuccessCount.zero forgets what waits and what was shown", () => {
  const successes = known(counted(10));
  deferMany(successes, 3, true);
  successes.zero(counted(0), 2);
  assertEquals([successes.pending, successes.shown, successes.take(3).slow], [0, 0, 0]);
});

Deno.test("SuccessCount counts up to the highest number that a column holds", () => {
  const successes = known(counted(MAX_COUNT - 1));
  deferMany(successes, 3);
  assertEquals([successes.shown, successes.waiting], [MAX_COUNT, 3]);
  assertEquals(successes.of(counted(MAX_COUNT - 1)), MAX_COUNT);
  const atOnce = known(counted(MAX_COUNT));
  atOnce.wasRecorded(counted(MAX_COUNT), { order: 2, at: 0 }, 3);
  assertEquals(atOnce.shown, MAX_COUNT);
});

Deno.test("SuccessCount shows successes that wait beside one that was counted at once", () => {
  const successes = new SuccessCount();
  const counted = (successCount: number) => ({ ...ABSENT_CIRCUIT, key: "a", successCount });
  successes.learn(counted(5), 1);
  successes.defer(0);
  // Its answer does not say so yet.
  successes.wasRecorded(counted(5), { order: 2, at: 0 }, 3);
  assertEquals(successes.shown, 7);
});

Deno.test("SuccessCount adds no success that was asked for before the circuit was learned", () => {
  const successes = new SuccessCount();
  const zeroed = { ...ABSENT_CIRCUIT, key: "a", version: 1, zeroedVersion: 1 };
  successes.learn(zeroed, 4);
  successes.wasRecorded(zeroed, { order: 2, at: 0 }, 5);
  assertEquals(successes.shown, 0);
});
