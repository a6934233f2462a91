/** What only a whole read finds. */

import { assert, assertEquals } from "@std/assert";
import { CacheEntries } from "../../src/cache/entries.ts";
import type { Origin } from "../../src/cache/origin.ts";
import { WholeReads } from "../../src/cache/whole_reads.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import { Scene } from "./model_network.ts";

Deno.test("CircuitCache finds by whole reads what the log does not say, within ten bounds", async () => {
  await using scene = new Scene();
  const one = scene.open();
  scene.database.recordSuccess("a");
  await one.useRegularly("a");
  for (let each = 0; each < 5; each++) scene.database.recordSuccess("a");
  scene.database.rows.set("a", { ...scene.database.read("a")!, lastStateChange: 7 });
  for (let step = 0; step < 100; step++) {
    await one.read("a");
    await scene.timers.advance(100);
    await one.drain();
  }
  assertEquals((await one.read("a"))!.successCount, 6);
  assertEquals((await one.read("a"))!.lastStateChange, 7);
  assertEquals(one.sent.filter((method) => method === "read").length, 1);
});

Deno.test("CircuitCache finds within the bound that another program moved a circuit", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const other = scene.open();
  scene.database.addCircuits(["a", "locked"]);
  const interval = async () => {
    await scene.timers.advance(950);
    for (const each of [one, other]) await each.drain();
  };
  for (let use = 0; use < 3; use++) {
    for (const each of [one, other]) {
      for (const key of ["a", "locked"]) await each.done(each.read(key));
    }
    await interval();
  }
  scene.database.moveByOthers("a", "open");
  scene.database.moveByOthers("locked", "open");
  scene.database.locked.add("locked"); // it cannot be noticed, and is shown all the same
  for (const each of [one, other]) each.sent.length = 0;
  await interval();
  for (const each of [one, other]) {
    for (const key of ["a", "locked"]) {
      const answer = await each.cache.read(each.call(), key);
      assertEquals([answer.source, answer.circuit!.state], ["cache", "open"]);
    }
    assertEquals(each.sent, ["tail"]);
  }
});

Deno.test("WholeReads reads all that are not closed or forced, and a share of the others in turns", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const keys = Array.from({ length: 300 }, (_, index) => `closed ${index}`);
  scene.database.addCircuits(keys);
  await one.done(one.transition("open", "open"));
  const force = { state: "closed", forMs: undefined, reason: undefined, actor: undefined } as const;
  await one.done(one.cache.force(one.call(), "forced", force));
  for (let interval = 0; interval < 2; interval++) {
    for (const key of keys) await one.done(one.read(key));
    await one.interval();
  }
  const reads: string[][] = [];
  for (let interval = 0; interval < 40; interval++) {
    await scene.timers.advance(950);
    await one.answer("tail");
    for (const key of ["open", "forced"]) await one.read(key);
    reads.push(
      ...one.inFlight.filter(({ method }) => method === "readKnown").map(({ keys }) => [...keys]),
    );
    await one.drain();
  }
  assertEquals(reads.length, 4);
  for (const read of reads) {
    assert(read.includes("open") && read.includes("forced"), String(read));
    assert(read.length <= 130, `${read.length} circuits`);
  }
  assertEquals(new Set(reads.slice(0, 3).flat()).size, 302);
});

Deno.test("CircuitCache reads a circuit whole whose forced state has ended by its time", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  const readWhole: string[] = [];
  for (let interval = 0; interval < 12; interval++) {
    const force = { state: "closed", forMs: 500, reason: undefined, actor: undefined } as const;
    const key = `forced in ${interval}`;
    await one.done(one.cache.force(one.call(), key, force));
    await one.read("a");
    await scene.timers.advance(400);
    assertEquals((await one.done(one.cache.recordSuccess(one.call(), key))).source, "database");
    await scene.timers.advance(200);
    // It is not in force any more: a success waits.
    assertEquals((await one.cache.recordSuccess(one.call(), key)).source, "cache");
    await scene.timers.advance(350);
    for (const { method, keys } of one.inFlight) {
      if (method === "readKnown") readWhole.push(...keys);
    }
    await one.answer("tail");
    for (const { method, keys } of one.inFlight) {
      if (method === "readKnown") readWhole.push(...keys);
    }
    await one.drain();
  }
  assert(readWhole.includes("a"));
  assert(readWhole.some((key) => key.startsWith("forced")), String(readWhole));
});

Deno.test("WholeReads: the answer for a circuit that was dropped meanwhile is not kept", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  while (!one.inFlight.some(({ method }) => method === "readKnown")) {
    await one.drain();
    await scene.timers.advance(950);
    await one.answer("tail");
  }
  await one.execute("readKnown");
  scene.database.transition("a", "open");
  for (let interval = 0; interval < 40; interval++) {
    await scene.timers.advance(950);
    await one.answer("tail");
  }
  await one.answer("readKnown"); // of before the change
  assertEquals((await one.done(one.read("a")))!.state, "open");
});

Deno.test("WholeReads reads whole what is in regular use or unsettled, each once, in every tenth interval", async () => {
  await using scene = new Scene();
  const one = scene.open();
  scene.database.addCircuits(["regular", "once", "open"]);
  scene.database.transition("open", "open");
  const read: (readonly string[])[] = [];
  const note = async () => {
    if (one.inFlight.some(({ method }) => method === "tail")) await one.answer("tail");
    for (const each of one.inFlight) if (each.method === "readKnown") read.push(each.keys);
    await one.drain();
  };
  await one.useRegularly("regular");
  await one.done(one.read("once"));
  await one.done(one.read("open"));
  for (let step = 0; step < 100; step++) {
    await scene.timers.advance(100);
    await note();
    if (step % 10 === 0) await one.done(one.read("regular"));
  }
  assertEquals(read.map((keys) => keys.toSorted()), [["open", "regular"]]);
});

Deno.test("WholeReads reads two thousand circuits at a time, and none in an outage", async () => {
  const entries = new CacheEntries({ clock: () => 0, now: undefined }, false, () => {});
  const circuits = Array.from({ length: 2001 }, (_, index) => entries.ask(`${index}`).entry!);
  const sent: number[] = [];
  const deadlines = new Deadlines(1000);
  const origin = {
    isOut: false,
    readKnown: (_: unknown, keys: readonly string[]) => {
      sent.push(keys.length);
      return Promise.resolve([]);
    },
  };
  const reads = new WholeReads(origin as unknown as Origin, entries, deadlines);
  await reads.read(circuits);
  assertEquals(sent, [2000, 1]);
  origin.isOut = true;
  await reads.read(circuits);
  assertEquals(sent, [2000, 1]);
  deadlines.stop();
});
