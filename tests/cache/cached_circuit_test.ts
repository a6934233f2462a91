/** Which of two answers stays, and how old it can be. */

import { assertEquals } from "@std/assert";
import { NO_DETAILS } from "../../src/circuit.ts";
import { Scene, settle } from "./model_network.ts";

Deno.test("CircuitCache: with the same version the highest counts of overlapping answers stay", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const early = one.read("a");
  await one.execute("read");
  scene.database.recordFailure("a");
  const failure = one.recordFailure("a");
  await one.answer("recordFailure");
  assertEquals((await failure).failureCount, 2);
  await one.answer("read"); // of before both failures
  assertEquals((await early)!.failureCount, 2);
  assertEquals((await one.read("a"))!.failureCount, 2);
});

Deno.test("CircuitCache: with a failure window the later asked answer has the failure count", async () => {
  for (const hasFailureWindow of [true, false]) {
    await using scene = new Scene();
    const one = scene.open({ hasFailureWindow });
    scene.database.recordFailure("a");
    const early = one.read("a");
    await one.execute("read");
    // The failure leaves the window.
    scene.database.rows.set("a", { ...scene.database.read("a")!, failureCount: 0 });
    const late = one.read("a");
    await settle();
    const [, second] = one.inFlight.filter(({ method }) => method === "read");
    await one.answer("read");
    await early;
    second!.execute();
    second!.answer();
    assertEquals((await late)?.failureCount, hasFailureWindow ? 0 : 1);
  }
});

Deno.test("CircuitCache: successes of probes are not lost to an answer that was read before them", async () => {
  await using scene = new Scene();
  const one = scene.open();
  scene.database.transition("a", "half-open");
  const early = one.read("a");
  await settle();
  const late = one.read("a");
  await settle();
  const [first, second] = one.inFlight.filter(({ method }) => method === "read");
  second!.execute();
  const details = { ...NO_DETAILS, probeSettled: 1 };
  scene.database.rows.set("a", { ...scene.database.read("a")!, details });
  first!.execute();
  first!.answer();
  await early;
  second!.answer();
  assertEquals((await late)!.details.probeSettled, 1);
});

Deno.test("CircuitCache: a higher version wins although it was asked for earlier", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const early = one.read("a");
  await settle();
  const late = one.read("a");
  await settle();
  const [first, second] = one.inFlight.filter(({ method }) => method === "read");
  second!.execute();
  scene.database.transition("a", "open");
  first!.execute();
  second!.answer();
  await late;
  first!.answer();
  assertEquals((await early)!.state, "open");
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("CircuitCache: a lower version loses where it was asked for before, and wins where after", async () => {
  await using scene = new Scene();
  const one = scene.open();
  const early = one.read("a");
  await one.execute("read");
  const moved = one.transition("a", "open");
  await one.answer("transition");
  assertEquals((await moved)!.version, 1);
  await one.answer("read");
  assertEquals((await early)!.state, "open", "its own write is newer");
  assertEquals((await one.read("a"))!.state, "open");
  // A restored row: its version is lower, and the log does not say so.
  await one.drain();
  scene.database.rows.delete("a");
  await scene.timers.advance(0);
  scene.timers.stall(5000);
  const late = one.read("a");
  await one.answer("read");
  assertEquals(await late, undefined);
  assertEquals(await one.read("a"), undefined);
});

Deno.test("TailFollower: freshness counts from when the refresh was sent", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  await scene.timers.advance(950);
  await one.execute("tail");
  scene.database.transition("a", "open");
  await scene.timers.advance(900); // a slow answer, of before the change
  await one.answer("tail");
  assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
  scene.timers.stall(100);
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
  assertEquals((await one.read("a"))!.state, "open");
});

Deno.test("CircuitCache waits after the process was stopped, whatever timers have yet to fire", async () => {
  await using scene = new Scene();
  const one = scene.open();
  await one.useRegularly("a");
  scene.database.transition("a", "open");
  scene.timers.stall(1001);
  const answer = await one.done(one.cache.read(one.call(), "a"));
  assertEquals([answer.source, answer.circuit!.state], ["database", "open"]);
});

Deno.test("CircuitCache trusts no age where the caller's clock was set back", async () => {
  await using scene = new Scene();
  let now = 1_000_000;
  const one = scene.open({ now: () => now, clock: () => now });
  await one.done(one.read("a"));
  now -= 5000;
  assertEquals((await one.done(one.cache.read(one.call(), "a"))).source, "database");
});

Deno.test("CircuitCache: a read that overlaps a reset is asked again, and is not answered from before", async () => {
  await using scene = new Scene();
  const one = scene.open();
  scene.database.recordFailure("a");
  const reset = one.reset("a");
  await one.execute("reset");
  scene.database.transition("a", "open");
  const read = one.read("a"); // begins after the circuit was opened
  await one.answer("reset");
  assertEquals((await reset)!.state, "closed");
  await one.answer("read");
  assertEquals((await one.done(read))!.state, "open");
});

Deno.test("CircuitCache asks no circuit again after the deadline of the call", async () => {
  await using scene = new Scene();
  const one = scene.open();
  for (const isOver of [true, false]) {
    one.sent.length = 0;
    scene.timers.stall(1001);
    const call = isOver ? { beganAt: 0, dueAt: 0 } : one.call();
    const read = one.cache.read(call, "a");
    await one.execute("read");
    const reset = one.reset("a");
    await one.answer("reset");
    await reset;
    await one.answer("read");
    await one.done(read);
    assertEquals(one.sent.filter((method) => method === "read").length, isOver ? 1 : 2);
  }
});
