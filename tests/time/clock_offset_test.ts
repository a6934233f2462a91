import { assert, assertEquals } from "@std/assert";
import { ClockOffset } from "../../src/time/clock_offset.ts";

Deno.test("ClockOffset starts at 0 and translates nothing", () => {
  const clock = new ClockOffset();
  assertEquals(clock.value, 0);
  assertEquals(clock.toCaller(1_700_000_000_000), 1_700_000_000_000);
});

Deno.test("ClockOffset stays where it is while no sample proves it wrong", () => {
  const clock = new ClockOffset();
  for (const [sent, server, received] of [[100, 100, 100], [100, 105, 110], [90, 100, 200]]) {
    clock.observe(sent!, server!, received!);
    assertEquals(clock.value, 0);
  }
});

Deno.test("ClockOffset moves no further than a sample proves", () => {
  const ahead = new ClockOffset();
  ahead.observe(60_000, 10, 60_020);
  assertEquals(ahead.value, 59_990);
  const behind = new ClockOffset();
  behind.observe(10, 60_000, 30);
  assertEquals(behind.value, -59_970);
});

Deno.test("ClockOffset narrows down to the truth and then rests", () => {
  const clock = new ClockOffset();
  const truth = 60_000;
  const values: number[] = [];
  // [out, back]: how long the request and the answer were under way.
  for (const [out, back] of [[500, 1], [20, 5], [3, 80], [1, 1], [400, 400], [0, 7], [2, 0]]) {
    const server = 1_000_000;
    clock.observe(server + truth - out!, server, server + truth + back!);
    values.push(clock.value);
  }
  assertEquals(values, [59_500, 59_980, 59_997, 59_999, 59_999, 60_000, 60_000]);
});

Deno.test("ClockOffset keeps every event within the call that caused it", () => {
  const clock = new ClockOffset();
  let random = 7;
  const below = (limit: number) => (random = (random * 16_807) % 2_147_483_647) % limit;
  for (let call = 0; call < 1000; call++) {
    const truth = call < 500 ? 60_000 : -5_000; // the caller's clock is set back half-way
    const server = 1_000_000 + call * 1000;
    const sent = server + truth - below(50);
    const received = server + truth + below(50);
    clock.observe(sent, server, received);
    const shown = clock.toCaller(server);
    assert(sent <= shown && shown <= received, `${shown} is not within ${sent} to ${received}`);
  }
});

Deno.test("ClockOffset follows a step of the caller's clock at the next sample", () => {
  const clock = new ClockOffset();
  clock.observe(1000, 1000, 1000);
  clock.observe(1000 - 30_000, 1100, 1000 - 30_000);
  assertEquals(clock.value, -30_100);
  clock.observe(1200, 1200, 1200);
  assertEquals(clock.value, 0);
});

Deno.test("ClockOffset survives a clock that steps back under way", () => {
  const clock = new ClockOffset();
  clock.observe(60_000, 1000, 30_000);
  assert(Number.isSafeInteger(clock.value));
  clock.observe(31_000, 2000, 31_000);
  assertEquals(clock.value, 29_000);
});

Deno.test("ClockOffset leaves a time that never was at 0", () => {
  const clock = new ClockOffset();
  clock.observe(60_000, 0, 60_000);
  assertEquals(clock.toCaller(0), 0);
});
