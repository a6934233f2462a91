import { assertEquals } from "@std/assert";
import { callOf, instanceOf, rowOf, runOf, shownOf } from "./made_up.ts";
import { probeProblems } from "./probes.ts";

const instances = [instanceOf({ halfOpenMax: 2 })];
const round = (id: number, since: number, probes: number) =>
  rowOf({ id, at: since, state: "half-open", lastStateChange: since, version: id, probes });
const admission = (begin: number, since: number) =>
  callOf({ begin, operation: "getState", shown: shownOf("half-open", since) });

Deno.test("probes: as many callers as the rules say get one in each round", () => {
  const rows = [round(1, 100, 1), round(2, 200, 2)];
  const calls = [
    admission(100, 100),
    admission(110, 100),
    admission(200, 200),
    callOf({ begin: 210, operation: "getState", shown: shownOf("open", 300) }),
  ];
  assertEquals(probeProblems(runOf({ instances, rows, calls })), []);
});

Deno.test("probes: one caller too many in a round is found", () => {
  const calls = [admission(100, 100), admission(110, 100), admission(120, 100)];
  assertEquals(probeProblems(runOf({ instances, rows: [round(1, 100, 2)], calls })).length, 1);
  assertEquals(probeProblems(runOf({ instances, rows: [round(1, 100, 3)] })).length, 1);
});

Deno.test("probes: an admission in a round that never was is found", () => {
  const calls = [admission(100, 170)];
  assertEquals(probeProblems(runOf({ instances, rows: [round(1, 100, 1)], calls })).length, 1);
});
