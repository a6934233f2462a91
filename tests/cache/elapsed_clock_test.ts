import { assert, assertEquals } from "@std/assert";
import { elapsedClock } from "../../src/cache/elapsed_clock.ts";

function openClock() {
  const time = { steady: 1000, ofDay: 1_800_000_000_000 };
  const clock = elapsedClock(() => time.steady, () => time.ofDay);
  const pass = (ms: number) => {
    time.steady += ms;
    time.ofDay += ms;
  };
  return { time, clock, pass };
}

Deno.test("elapsedClock counts the time in which the machine was suspended, once", () => {
  const { time, clock, pass } = openClock();
  const from = clock();
  pass(500);
  assertEquals(clock() - from, 500);
  time.ofDay += 60_000; // the steady clock stands still
  pass(10);
  assertEquals(clock() - from, 60_510);
  for (let step = 0; step < 9; step++) {
    pass(10);
    clock();
  }
  assertEquals(clock() - from, 60_600);
  pass(1000);
  assertEquals(clock() - from, 61_600);
});

Deno.test("elapsedClock goes by the steady clock where the time of day is set back", () => {
  const { time, clock, pass } = openClock();
  const from = clock();
  pass(15);
  clock();
  time.ofDay -= 3_600_000;
  pass(100);
  assertEquals(clock() - from, 115);
  pass(100);
  assertEquals(clock() - from, 215);
  time.ofDay -= 50;
  pass(400); // set back by less than has passed: it moved forward in sum
  assertEquals(clock() - from, 615);
  time.ofDay += 5000; // suspended after it
  assertEquals(clock() - from, 5615);
});

Deno.test("elapsedClock never goes back", () => {
  const { time, clock, pass } = openClock();
  let last = clock();
  for (let step = 0; step < 1000; step++) {
    pass(step % 50);
    if (step % 7 === 0) time.ofDay -= step;
    const now = clock();
    assert(now >= last, `${now} after ${last}`);
    last = now;
  }
});

Deno.test("elapsedClock takes a short step of the time of day without a look at the steady clock", () => {
  let [looks, ofDay] = [0, 0];
  const clock = elapsedClock(() => looks++, () => ofDay);
  for (const step of [0, 1, 20]) {
    ofDay += step;
    clock();
  }
  assertEquals([clock(), looks], [21, 1]);
  ofDay += 21;
  clock();
  assertEquals(looks, 2);
});

Deno.test("elapsedClock goes by the clocks of the process", async () => {
  const clock = elapsedClock();
  const [from, steady] = [clock(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 30));
  const passed = clock() - from;
  assert(passed >= 20 && passed <= performance.now() - steady + 2, `${passed} ms`);
});
