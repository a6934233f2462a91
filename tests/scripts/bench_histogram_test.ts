import { assert, assertEquals } from "@std/assert";
import { Histogram } from "../../scripts/bench/histogram.ts";

function assertNear(actual: number, expected: number): void {
  assert(Math.abs(actual / expected - 1) < 0.02, `${actual} is not near ${expected}`);
}

Deno.test("Histogram finds percentiles from microseconds to minutes", () => {
  const histogram = new Histogram();
  for (let i = 1; i <= 1000; i++) histogram.record(i);
  assertEquals(histogram.total, 1000);
  assertNear(histogram.percentile(0.5), 500);
  assertNear(histogram.percentile(0.99), 990);
  assertNear(histogram.percentile(0.999), 999);
  for (const ms of [0.0123, 0.5, 3.25, 77, 1234, 100_000]) {
    const single = new Histogram();
    single.record(ms);
    assertNear(single.percentile(0.5), ms);
  }
});

Deno.test("Histogram takes what lies beyond its range and has no percentile when empty", () => {
  assertEquals(new Histogram().percentile(0.5), NaN);
  const histogram = new Histogram();
  for (const ms of [-1, 0]) histogram.record(ms);
  assertEquals(histogram.percentile(1), 0);
  histogram.record(Number.MAX_SAFE_INTEGER);
  assertNear(histogram.percentile(1), (2 ** 31 - 1) / 10_000);
});

Deno.test("Histogram adds up what several processes measured", () => {
  const [one, other, both] = [new Histogram(), new Histogram(), new Histogram()];
  for (let i = 0; i < 90; i++) one.record(1);
  for (let i = 0; i < 10; i++) other.record(50);
  for (const each of [one, other]) both.add(JSON.parse(JSON.stringify(each.sparse())));
  assertEquals(both.total, 100);
  assertNear(both.percentile(0.9), 1);
  assertNear(both.percentile(0.91), 50);
});

Deno.test("Histogram.since holds only the latencies added after a copy", () => {
  const histogram = new Histogram();
  for (let i = 0; i < 10; i++) histogram.record(1000);
  const copy = histogram.copy();
  for (let i = 0; i < 3; i++) histogram.record(1);
  const added = histogram.since(copy);
  assertEquals([copy.total, added.total, histogram.total], [10, 3, 13]);
  assertNear(added.percentile(1), 1);
  assertNear(copy.percentile(0), 1000);
});
