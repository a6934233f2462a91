import { assertEquals } from "@std/assert";
import type { DeliveredChange, RecordedWatch } from "../recorded.ts";
import { deliveredOf, logOf, runOf } from "./made_up.ts";
import { watchProblems } from "./watches.ts";

const log = [
  logOf({ id: 1, at: 100 }),
  logOf({ id: 2, at: 200, from: "open", to: "closed" }),
  logOf({ id: 3, at: 300, from: "closed", to: "closed", cause: "zeroed" }),
  logOf({ id: 4, at: 400 }),
  logOf({ id: 5, at: 500, key: "m1" }),
];
const all = log.filter(({ from, to }) => from !== to).map(deliveredOf);
const watchOf = (changes: DeliveredChange[], isComplete = true): RecordedWatch => ({
  name: "w0",
  changes,
  isComplete,
});

function judge(changes: DeliveredChange[], isComplete?: boolean): number {
  return watchProblems(runOf({ log, watches: [watchOf(changes, isComplete)], history: all }))
    .length;
}

Deno.test("watches: each change once, in order, from the watch's beginning on", () => {
  assertEquals(judge(all), 0);
  assertEquals(judge(all.slice(1)), 0, "the first was before its beginning");
  // The order between circuits is free.
  assertEquals(judge([all[3]!, all[0]!, all[1]!, all[2]!]), 0);
});

Deno.test("watches: a missing change is found, between two and at the end", () => {
  assertEquals(judge([all[0]!, all[2]!, all[3]!]), 1);
  assertEquals(judge([all[0]!, all[2]!, all[3]!], false), 1);
  assertEquals(judge(all.slice(0, 3)), 1);
  assertEquals(judge(all.slice(0, 3), false), 0, "it was ended before");
  assertEquals(judge([]), 1);
});

Deno.test("watches: a change twice, out of order, invented or changed is found", () => {
  assertEquals(judge([...all, all[3]!]), 1);
  assertEquals(judge([all[1]!, all[0]!, all[2]!, all[3]!]), 1);
  assertEquals(judge([...all, { ...all[3]!, version: 9 }]), 1);
  assertEquals(judge([...all.slice(0, 3), { ...all[3]!, cause: "trip" }]), 1);
  assertEquals(judge([...all.slice(0, 3), { ...all[3]!, to: "half-open" }]), 1);
});

Deno.test("history: the rows of the log, in the order of their versions", () => {
  const pages = (history: DeliveredChange[]) => watchProblems(runOf({ log, history })).length;
  assertEquals(pages(all), 0);
  assertEquals(pages(all.slice(1)), 1, "missing");
  assertEquals(pages([...all, all[3]!]), 1, "twice");
  assertEquals(pages([all[1]!, all[0]!, all[2]!, all[3]!]), 1, "out of order");
  assertEquals(pages([...all, { ...all[3]!, version: 9 }]), 1, "invented");
  assertEquals(pages([{ ...all[0]!, cause: "trip" }, ...all.slice(1)]), 1, "changed");
});

Deno.test("history: an operator's act that changes no state is in it, and in no watch", () => {
  const act = logOf({ id: 6, at: 600, to: "closed", cause: "force" });
  const run = runOf({ log: [...log, act], watches: [watchOf(all)] });
  assertEquals(watchProblems({ ...run, history: [...all, deliveredOf(act)] }), []);
  assertEquals(watchProblems({ ...run, history: all }).length, 1);
});
