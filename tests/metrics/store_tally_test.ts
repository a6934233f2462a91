import { assertEquals } from "@std/assert";
import { OTHER_KEYS } from "../../src/metrics/by_key.ts";
import { BUCKETS, STORE_FAMILIES } from "../../src/metrics/families.ts";
import { errorTypeOf, StoreTally } from "../../src/metrics/store_tally.ts";
import { StoreTimeoutError } from "../../mod.ts";

const GAUGES = {
  isOut: () => true,
  cacheAgeMs: () => 250,
  pendingSuccesses: () => 3,
  pendingRefusals: () => 4,
};

/** The values of a metric, by their labels. */
function valuesOf(tally: StoreTally, name: keyof typeof STORE_FAMILIES): Record<string, number> {
  const points = tally.points().filter(({ family }) => family === STORE_FAMILIES[name]);
  return Object.fromEntries(
    points.map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );
}

Deno.test("StoreTally shows a state for five minutes after the last use", () => {
  const clock = { at: 0 };
  const tally = new StoreTally(GAUGES, 10, () => clock.at);
  tally.onRefused("a", "open");
  const open = { "a closed": 0, "a open": 1, "a half-open": 0 };
  assertEquals(valuesOf(tally, "state"), open);
  clock.at = 300_000;
  assertEquals(valuesOf(tally, "state"), open);
  clock.at = 300_001;
  assertEquals(valuesOf(tally, "state"), {});
  assertEquals(valuesOf(tally, "refused"), { a: 1 });
  tally.onAdmitted("a", false);
  assertEquals(valuesOf(tally, "state"), { "a closed": 1, "a open": 0, "a half-open": 0 });
  tally.onAdmitted("a", true);
  assertEquals(valuesOf(tally, "state"), { "a closed": 0, "a open": 0, "a half-open": 1 });
});

Deno.test("StoreTally counts changes of state apart from votes, and nothing that is hidden", () => {
  const tally = new StoreTally(GAUGES, 10);
  const change = { key: "a", from: "closed", to: "open" } as const;
  tally.onChange({ ...change, cause: "trip" });
  tally.onChange({ ...change, cause: "trip" });
  tally.onChange({ ...change, cause: "vote" });
  tally.onChange({ ...change, to: "closed", cause: "vote" });
  tally.onChange({ ...change, to: "closed", cause: "force" });
  for (const cause of ["suspect", "zeroed", "round"] as const) tally.onChange({ ...change, cause });
  assertEquals(valuesOf(tally, "transitions"), { "a open trip": 2, "a open vote": 1 });
  assertEquals(valuesOf(tally, "votes"), { a: 2 });
});

Deno.test("StoreTally puts durations into buckets, and counts calls and errors by kind", () => {
  const tally = new StoreTally(GAUGES, 10);
  const event = { kind: "read", keys: 1, calls: 5, rows: 1, error: undefined } as const;
  tally.onStatement({ ...event, ms: 0.5 });
  tally.onStatement({ ...event, ms: 0.51 });
  tally.onStatement({ ...event, ms: 60_000, error: new StoreTimeoutError("Cannot read: late") });
  tally.onStatement({ ...event, kind: "flush", calls: 0, ms: 1, error: "?" });
  const [read, flush] = tally.distributions();
  assertEquals([read!.buckets[0], read!.buckets[1], read!.buckets.at(-1)], [1, 1, 1]);
  assertEquals([read!.buckets.length, read!.count, flush!.count], [BUCKETS.length + 1, 3, 1]);
  assertEquals(Math.round(read!.sum * 1e5), 6_000_101);
  assertEquals(valuesOf(tally, "statementCalls"), { read: 15, flush: 0 });
  assertEquals(valuesOf(tally, "errors"), { "read StoreTimeoutError": 1, "flush Error": 1 });
  assertEquals(valuesOf(tally, "outage"), { "": 1 });
  assertEquals(valuesOf(tally, "cacheAge"), { "": 0.25 });
  assertEquals(valuesOf(tally, "pending"), { success: 3, refused: 4 });
});

Deno.test("StoreTally gives keys beyond its bound one label without a state", () => {
  const tally = new StoreTally(GAUGES, 2);
  for (const key of ["a", "b", "c", "d", "a", "c"]) tally.onRefused(key, "open");
  assertEquals(valuesOf(tally, "refused"), { a: 2, b: 1, [OTHER_KEYS]: 3 });
  assertEquals(Object.keys(valuesOf(tally, "state")).length, 6);
});

Deno.test("errorTypeOf gives no text of others as a label", () => {
  const named = Object.assign(new Error(), { name: "secret value" });
  assertEquals([named, null, "text", new TypeError()].map(errorTypeOf), [
    "Error",
    "Error",
    "Error",
    "TypeError",
  ]);
});
