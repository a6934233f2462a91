/** The cache as a whole: at rest, in use, in an outage. */

import { assert, assertEquals } from "@std/assert";
import type { Circuit, Round } from "../../src/circuit.ts";
import { Scene } from "./model_network.ts";

Deno.test("CircuitCache answers from memory as long as the log is followed, and names the source", async () => {
  await using scene = new Scene();
  const one = scene.open();
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
  for (let round = 0; round < 30; round++) {
    await one.interval();
    assertEquals((await one.cache.read(one.call(), "a")).source, "cache", `interval ${round}`);
  }
  assertEquals(one.sent.filter((method) => method === "read").length, 1);
});

Deno.test("CircuitCache says how old what it knows is", async () => {
  await using scene = new Scene();
  const one = scene.open();
  assertEquals(one.cache.ageMs, undefined);
  await one.useRegularly("a");
  await scene.timers.advance(950);
  await scene.timers.advance(20);
  await one.answer("tail");
  assertEquals(one.cache.ageMs, 20, "from when the refresh was sent");
  scene.timers.stall(400);
  assertEquals(one.cache.ageMs, 420);
});

Deno.test("CircuitCache counts successes of circuits that memory knows, and votes by the database", async () => {
  await using scene = new Scene();
  const one = scene.open({ hasSlowRate: true });
  assertEquals(one.cache.countSuccess("a", false), false);
  await one.useRegularly("a");
  assertEquals(one.cache.countSuccess("a", false), true);
  assertEquals(one.cache.countSuccess("a", true), false, "a slow one is recorded at once");
  assertEquals([one.cache.pending, one.cache.known("other")], [1, "unknown"]);
  assertEquals(one.cache.known("a"), undefined, "it has no row");
  const vote = one.cache.vote(one.call(), "a");
  assertEquals((await one.done(vote)).circuit.failureCount, 1);
  assertEquals((one.cache.known("a") as Circuit).failureCount, 1);
  const without = scene.open();
  await without.useRegularly("a");
  assertEquals(without.cache.countSuccess("a", true), true, "slow calls have no rate there");
});

Deno.test("CircuitCache keeps a circuit that is used every five bounds, which has a row then", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.done(one.read("a"));
  for (let use = 1; use <= 12; use++) {
    for (let step = 0; step < 50; step++) {
      await scene.timers.advance(100);
      await one.drain();
    }
    assertEquals((await one.cache.read(one.call(), "a")).source, "cache", `use ${use}`);
    await one.recordSuccess("a");
  }
  assertEquals(one.sent.filter((method) => method === "read").length, 1);
  assert(scene.database.rows.has("a"));
});

Deno.test("CircuitCache rests when nothing is in use, and begins anew after it", async () => {
  await using scene = new Scene();
  const one = scene.open();
  for (let key = 0; key < 20; key++) await one.done(one.read(`${key}`));
  await one.useRegularly("regular");
  for (let interval = 0; interval < 70; interval++) await one.interval();
  const { length } = one.sent;
  assert(one.listener !== undefined, "it goes on listening for a while");
  assertEquals(one.cache.ageMs, undefined);
  await scene.timers.advance(31_000);
  assertEquals([one.sent.length, one.listener, scene.timers.size], [length, undefined, 0]);
  scene.database.transition("regular", "open");
  assertEquals((await one.done(one.read("regular")))!.state, "open");
  for (let interval = 0; interval < 3; interval++) {
    await one.interval();
    const answer = await one.cache.read(one.call(), "regular");
    assertEquals([answer.source, answer.circuit!.state], ["cache", "open"]);
  }
});

Deno.test("CircuitCache sends nothing in an outage, keeps no local answer, and goes on after it", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await one.useRegularly("b");
  one.isOut = true;
  one.source = "local";
  assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
  assertEquals((await one.done(one.transition("a", "open")))!.state, "open");
  // Unknown now: the local circuits answer, not the memory.
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "local");
  one.sent.length = 0;
  scene.database.transition("b", "open");
  await scene.timers.advance(900);
  await scene.timers.advance(3000);
  assertEquals(one.sent, []);
  one.isOut = false;
  one.source = "database";
  await one.interval();
  await one.interval();
  assert(!one.sent.includes("read") && one.sent.includes("tail"));
  assertEquals((await one.cache.read(one.call(), "b")).source, "cache");
  assertEquals((await one.read("b"))!.state, "open");
});

Deno.test("CircuitCache keeps no local answer, also where no outage is known", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  one.source = "local";
  assertEquals((await one.done(one.transition("a", "open")))!.state, "open");
  one.source = "database";
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
});

Deno.test("CircuitCache answers also for a circuit that it has no room for", async () => {
  await using scene = new Scene();
  const one = scene.open();
  for (let key = 0; key < 10_000; key++) void one.read(`${key}`);
  const read = one.cache.read(one.call(), "a");
  const record = one.cache.recordFailure(one.call(), "a");
  await one.answer("recordFailure");
  assertEquals((await record).circuit.failureCount, 1);
  const reset = one.reset("a");
  await one.answer("reset");
  assertEquals((await reset)!.failureCount, 0);
  await one.drain();
  assertEquals((await read).source, "database");
});

Deno.test("CircuitCache answers from memory up to the bound, less what its own clock may be wrong by", async () => {
  for (const [isCallersClock, lastMs] of [[true, 1000], [false, 999]] as const) {
    await using scene = new Scene();
    let at = 5000;
    const clock = () => at;
    const one = scene.open(isCallersClock ? { now: clock, clock } : { clock });
    await one.done(one.read("a"));
    at += lastMs - 0.5;
    assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
    at += 0.5;
    assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
  }
});

Deno.test("CircuitCache keeps what it knows where prune removed nothing", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.done(one.transition("a", "open"));
  const request = { idleMs: 60_000, limit: 10, isElected: false };
  assertEquals(await one.done(one.cache.prune(one.call(), request)), 0);
  assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
});

Deno.test("CircuitCache listens no more where the only call was not answered by the database", async () => {
  for (const method of ["read", "recordFailure"] as const) {
    await using scene = new Scene();
    const one = scene.open();
    const call = one[method]("a");
    call.catch(() => {});
    await one.lose(method);
    await one.drain();
    await scene.timers.advance(31_000);
    assertEquals([one.listener, scene.timers.size], [undefined, 0], method);
  }
});

Deno.test("CircuitCache counts the use of a circuit from its first call, however long it was at rest", async () => {
  await using scene = new Scene();
  const one = scene.open({ countWithinMs: 2000 });
  await scene.timers.advance(100_000);
  await one.done(one.read("once"));
  await one.recordSuccess("once");
  for (let interval = 0; interval < 20; interval++) await one.interval();
  assert(!scene.database.rows.has("once"), "one interval is no regular use");
});

Deno.test("CircuitCache counts a success from when its key is in regular use", async () => {
  await using scene = new Scene();
  const one = scene.open({ countWithinMs: 1000 });
  await one.done(one.read("a"));
  await one.recordSuccess("a");
  await scene.timers.advance(900);
  await one.drain();
  for (let interval = 0; interval < 5; interval++) {
    await one.done(one.read("a"));
    await one.interval();
  }
  assertEquals(scene.database.rows.get("a")?.successCount, 1);
});

Deno.test("CircuitCache learns what a claim answered", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.done(one.transition("a", "open"));
  const claim = await one.done(one.cache.claim(one.call(), "a", 0));
  assertEquals([claim.isAdmitted, claim.circuit!.state], [true, "half-open"]);
  const answer = await one.cache.read(one.call(), "a");
  assertEquals([answer.source, answer.circuit!.state], ["cache", "half-open"]);
});

Deno.test("CircuitCache learns what a settlement answered, and passes withdrawals on", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.done(one.transition("a", "half-open"));
  const round = { version: (await one.read("a"))!.version };
  const settled = one.cache.settle(one.call(), "a", "failure", round as Round);
  assertEquals((await one.done(settled)).circuit!.state, "open");
  const answer = await one.cache.read(one.call(), "a");
  assertEquals([answer.source, answer.circuit!.state], ["cache", "open"]);
  one.sent.length = 0;
  await one.done(one.cache.withdraw(one.call(), ["a"]));
  assertEquals(one.sent, ["withdraw"]);
});

Deno.test("CircuitCache answers calls for unknown circuits as they are: in a list, and after its end", async () => {
  await using scene = new Scene();
  const one = scene.open();
  scene.database.recordFailure("a");
  const listed = await one.done(
    one.cache.list(one.call(), { state: undefined, after: undefined, limit: 10 }),
  );
  assertEquals(listed.map(({ key, failureCount }) => [key, failureCount]), [["a", 1]]);
  await one.done(one.cache.end(one.call()));
  assertEquals((await one.done(one.recordFailure("b"))).failureCount, 1);
});
