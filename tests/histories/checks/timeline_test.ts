import { assertEquals } from "@std/assert";
import { observationsOf, openRow, rowOf } from "./made_up.ts";
import { timelines } from "./timeline.ts";

Deno.test("timelines: a state holds until an observer saw the next one", () => {
  const rows = [openRow(1, 100), rowOf({ id: 2, at: 200, version: 2, lastStateChange: 200 })];
  const observations = observationsOf([90, 5], [150, 3], [210, 2], [250, 3]);
  const spans = timelines(rows, observations).get("m0")!;
  assertEquals(spans.map(({ state, from, to }) => [state, from, to]), [
    ["closed", -Infinity, 150],
    ["open", 100, 250],
    ["closed", 200, Infinity],
  ]);
});

Deno.test("timelines: a transaction that runs in a snapshot was not visible in it", () => {
  const observations = [
    { at: 150, xmax: 9n, running: new Set(["1"]) },
    { at: 300, xmax: 9n, running: new Set<string>() },
  ];
  assertEquals(timelines([openRow(1, 100)], observations).get("m0")![0]!.to, 300);
});

Deno.test("timelines: a forced state ends at its time, and the state beneath follows", () => {
  const rows = [
    rowOf({ id: 1, at: 100, version: 1, forcedState: "open", forcedAt: 100, forcedUntil: 180 }),
  ];
  const spans = timelines(rows, observationsOf([110, 2])).get("m0")!;
  assertEquals(spans.map(({ state, from, to }) => [state, from, to]), [
    ["closed", -Infinity, 110],
    ["open", 100, 180],
    ["closed", 180, Infinity],
  ]);
});

Deno.test("timelines: who has not heard that a forced state was released may see its end", () => {
  const rows = [
    rowOf({ id: 1, at: 100, version: 1, forcedState: "open", forcedAt: 100, forcedUntil: 900 }),
    rowOf({ id: 2, at: 200, version: 2, state: "half-open" }),
  ];
  const spans = timelines(rows, observationsOf([110, 2], [210, 3])).get("m0")!;
  assertEquals(spans.map(({ state, from, to }) => [state, from, to]), [
    ["closed", -Infinity, 110],
    ["open", 100, 210],
    ["closed", 900, 210],
    ["half-open", 200, Infinity],
  ]);
});

Deno.test("timelines: a forced state that ends within its own statement was there", () => {
  const rows = [
    rowOf({ id: 1, at: 200, version: 1, forcedState: "open", forcedAt: 100, forcedUntil: 180 }),
  ];
  const spans = timelines(rows, observationsOf([210, 2])).get("m0")!;
  assertEquals(spans.map(({ state, from, to }) => [state, from, to]), [
    ["closed", -Infinity, 210],
    ["open", 100, 210],
    ["closed", 200, Infinity],
  ]);
});

Deno.test("timelines: counting changes no state, and a removed row is closed", () => {
  const rows = [
    openRow(1, 100, 7),
    { ...openRow(2, 120, 7), lastStateChange: 100, failures: 4 },
    rowOf({ id: 3, at: 200, isDeleted: true }),
  ];
  const spans = timelines(rows, observationsOf([110, 2], [130, 3], [210, 4])).get("m0")!;
  assertEquals(spans.map(({ state, since, to }) => [state, since, to]), [
    ["closed", 0, 110],
    ["open", 100, 210],
    ["closed", 0, Infinity],
  ]);
});
