/** The log: what it says is not lost, and what happens where it cannot be followed. */

import { assertEquals } from "@std/assert";
import { CacheEntries } from "../../src/cache/entries.ts";
import type { Origin } from "../../src/cache/origin.ts";
import { TailFollower } from "../../src/cache/tail_follower.ts";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";
import type { TailPage } from "../../src/ports.ts";
import { beginCall } from "../../src/time/call.ts";
import { type ModelInstance, Scene, settle } from "./model_network.ts";

Deno.test("TailFollower: what the log says of a circuit that is only asked for is not lost", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.done(one.read("other"));
  await one.interval();
  for (const method of ["read", "recordFailure"] as const) {
    const key = `by ${method}`;
    scene.database.recordFailure(key);
    const asked = one[method](key);
    await one.execute(method);
    scene.database.transition(key, "open");
    await scene.timers.advance(950);
    await one.answer("tail");
    await one.answer(method);
    await asked;
    assertEquals((await one.read(key))!.state, "open", method);
    assertEquals((await one.cache.read(one.call(), key)).source, "cache");
  }
});

for (const kind of ["break", "page that is too long"] as const) {
  Deno.test(`TailFollower: after a ${kind} everything is read again, and no earlier answer is kept`, async () => {
    await using scene = new Scene();
    const one = scene.open();
    for (let time = 0; time < 3; time++) scene.database.recordSuccess("a");
    await one.useRegularly("a");
    await one.recordSuccess("a");
    const waiting = one.read("b");
    await one.execute("read");
    scene.database.transition("a", "open");
    scene.database.transition("b", "open");
    // A server that lacks the last successes: after a break its count is true.
    scene.database.rows.set("a", { ...scene.database.rows.get("a")!, successCount: 1 });
    if (kind === "break") scene.database.restart();
    else scene.database.tooLong = 1;
    await scene.timers.advance(950);
    await one.answer("tail");
    await one.answer("read");
    assertEquals(one.inFlight.map(({ method }) => method).sort(), ["read", "readKnown"]);
    await one.answer("readKnown");
    const answer = await one.cache.read(one.call(), "a");
    assertEquals([answer.source, answer.circuit!.state], ["cache", "open"]);
    assertEquals(answer.circuit!.successCount, kind === "break" ? 2 : 4, "its success waits still");
    await one.answer("read");
    assertEquals((await waiting)!.state, "open", "it was asked again");
    assertEquals((await one.read("b"))!.state, "open");
  });
}

Deno.test("TailFollower: a write from before a break is answered, and is not kept", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  const moved = one.transition("a", "open");
  await one.execute("transition");
  scene.database.rows.delete("a"); // a standby that lacks the change takes over
  scene.database.restart();
  await scene.timers.advance(950);
  await one.answer("tail");
  await one.answer("transition");
  assertEquals((await moved)!.state, "open");
  assertEquals(await one.done(one.read("a")), undefined);
});

Deno.test("TailFollower: a circuit that was read before the log's beginning is read again", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const early = one.read("a");
  await one.execute("read");
  await one.answer("read");
  assertEquals(await early, undefined);
  scene.database.transition("a", "open"); // before the cursor: the log will never say it
  await one.answer("tail");
  await one.answer("readKnown");
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("TailFollower: a circuit from before the beginning is forgotten where it could not be read again", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const early = one.read("a");
  await one.answer("read");
  await early;
  const late = one.read("b");
  await one.execute("read");
  scene.database.transition("a", "open");
  scene.database.transition("b", "open");
  await one.answer("tail");
  await one.lose("readKnown");
  await scene.timers.advance(950);
  await one.answer("tail");
  await one.answer("read"); // of before the beginning
  assertEquals((await one.done(one.read("a")))!.state, "open");
  assertEquals((await one.done(late))!.state, "open");
  assertEquals((await one.read("b"))!.state, "open");
});

Deno.test("TailFollower goes on from its cursor after a refresh that was lost", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  scene.database.transition("a", "open");
  await scene.timers.advance(950);
  await one.lose("tail");
  one.sent.length = 0;
  await scene.timers.advance(300); // it is tried again soon
  await one.drain();
  assertEquals(one.sent, ["tail"]);
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("CircuitCache delays, repeats and loses nothing of a change that commits late", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await one.useRegularly("b");
  const open = scene.database.begin("a", "open"); // takes its version first
  scene.database.transition("b", "open");
  await one.interval();
  assertEquals((await one.read("b"))!.state, "open");
  open.commit();
  await one.interval();
  assertEquals((await one.read("a"))!.state, "open");
});

/** A circuit becomes unknown while the next page of the log is asked for. */
async function forgetDuringTail(scene: Scene, isExecuted: boolean): Promise<ModelInstance> {
  const one = scene.open();
  await one.useRegularly("a");
  await scene.timers.advance(950);
  if (isExecuted) {
    scene.database.transition("a", "open");
    await one.execute("tail");
    const closed = one.transition("a", "closed");
    await one.answer("transition");
    await closed;
  }
  one.isOut = true;
  one.source = "local";
  const local = one.transition("a", "half-open");
  await settle();
  one.find("transition").isExecuted = true; // the database never had it
  await one.answer("transition");
  await local;
  one.isOut = false;
  one.source = "database";
  return one;
}

Deno.test("TailFollower: a page from before a circuit became unknown is not kept", async () => {
  await using scene = new Scene();
  const one = await forgetDuringTail(scene, true);
  const first = one.read("a");
  await one.answer("tail"); // says open, which is over
  const second = await one.done(one.cache.read(one.call(), "a"));
  assertEquals([second.source, second.circuit!.state], ["database", "closed"]);
  assertEquals((await first)!.state, "closed");
});

Deno.test("TailFollower: a page from before a circuit became unknown is not lost", async () => {
  await using scene = new Scene();
  const one = await forgetDuringTail(scene, false);
  const read = one.read("a");
  await one.execute("read"); // closed
  scene.database.transition("a", "open");
  await one.answer("tail"); // the log will not say it again
  await one.answer("read");
  assertEquals((await one.done(read))!.state, "open");
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("TailFollower: a page says nothing of what changed since another cursor than its own", async () => {
  const pages: PromiseWithResolvers<TailPage>[] = [];
  const origin = {
    tail() {
      pages.push(Promise.withResolvers());
      return pages.at(-1)!.promise;
    },
  } as unknown as Origin;
  let now = 0;
  const clocks = { clock: () => now, now: undefined };
  const follower = new TailFollower(origin, new CacheEntries(clocks, false, () => {}));
  const page = (snapshot: string): TailPage => ({
    cursor: { snapshot, version: 0, run: "" },
    isBreak: false,
    isTooLong: false,
    circuits: [],
    absent: [],
  });
  // Two refreshes without a cursor, the first of which was taken for dead.
  const first = follower.follow(beginCall(1000));
  now = 10;
  const second = follower.follow(beginCall(1000));
  pages[0]!.resolve(page("1:1:"));
  assertEquals(await first, "began");
  pages[1]!.resolve(page("2:2:"));
  assertEquals(await second, "overtaken");
  assertEquals(follower.validAt, -Infinity, "what changed between the two is not known");
  now = 20;
  const third = follower.follow(beginCall(1000));
  pages[2]!.resolve(page("3:3:"));
  assertEquals([await third, follower.validAt], ["followed", 20]);
});

Deno.test("TailFollower takes over that a circuit has no row any more", async () => {
  const pages: TailPage[] = [];
  const origin = { tail: () => Promise.resolve(pages.shift()!) } as unknown as Origin;
  const entries = new CacheEntries({ clock: () => 0, now: undefined }, false, () => {});
  const follower = new TailFollower(origin, entries);
  const page = (snapshot: string, absent: string[]): TailPage => ({
    cursor: { snapshot, version: 0, run: "" },
    ...{ isBreak: false, isTooLong: false, circuits: [], absent },
  });
  pages.push(page("1:1:", []), page("2:2:", []), page("3:3:", ["a"]));
  await follower.follow(beginCall(1000));
  await follower.follow(beginCall(1000));
  const question = entries.ask("a");
  entries.learnRead(question.entry!, { ...ABSENT_CIRCUIT, key: "a", failureCount: 3 }, question);
  entries.end(question.entry);
  assertEquals(question.entry!.isAbsent, false);
  assertEquals(await follower.follow(beginCall(1000)), "followed");
  assertEquals(question.entry!.isAbsent, true);
});
