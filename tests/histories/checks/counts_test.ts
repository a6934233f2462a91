import { assertEquals } from "@std/assert";
import type { RecordedCall } from "../recorded.ts";
import { countProblems, sharedCountProblems, zeroedProblems } from "./counts.ts";
import { callOf, instanceOf, rowOf, runOf, shownOf } from "./made_up.ts";

const failure = (parts: Partial<RecordedCall> = {}) =>
  callOf({ begin: 1, operation: "recordFailure", key: "c0", ...parts });
const success = (parts: Partial<RecordedCall> = {}) =>
  failure({ operation: "recordSuccess", ...parts });
const counted = (id: number, failures: number, successes: number = 0) =>
  rowOf({ id, at: id, key: "c0", failures, successes });

Deno.test("counts: acknowledged <= counted <= acknowledged + unknown", () => {
  const judge = (...rows: ReturnType<typeof counted>[]) =>
    countProblems(runOf({
      instances: [instanceOf()],
      calls: [failure(), failure(), failure({ fate: "unknown" }), failure({ fate: "not done" })],
      rows,
    })).length;
  assertEquals(judge(counted(1, 1)), 1, "lost");
  assertEquals(judge(counted(1, 2)), 0);
  assertEquals(judge(counted(1, 1), counted(2, 3)), 0);
  assertEquals(judge(counted(1, 4)), 1, "counted again");
  assertEquals(judge(), 1, "no row");
});

Deno.test("counts: zeroed and removed counters lose nothing that was counted before", () => {
  const calls = [failure(), failure(), failure()];
  const zeroed = [counted(1, 2), counted(2, 0), counted(3, 1)];
  const removed = [
    counted(1, 2),
    rowOf({ id: 2, at: 2, key: "c0", isDeleted: true }),
    counted(3, 1),
  ];
  for (const rows of [zeroed, removed]) {
    assertEquals(countProblems(runOf({ instances: [instanceOf()], calls, rows })), []);
  }
});

Deno.test("counts: each instance answers for its own", () => {
  const rows = [counted(1, 1), { ...counted(2, 2), writer: "i1" }];
  const instances = [instanceOf(), instanceOf({ name: "i1" })];
  const own = [failure(), failure({ instance: "i1" })];
  assertEquals(countProblems(runOf({ instances, calls: own, rows })), []);
  const swapped = [failure(), failure()];
  assertEquals(countProblems(runOf({ instances, calls: swapped, rows })).length, 2);
});

Deno.test("counts: deferred successes count exactly where nothing zeroes them", () => {
  const cached = instanceOf({ boundMs: 100 });
  const judge = (instance: typeof cached, key: string, successes: number) =>
    countProblems(runOf({
      instances: [instance],
      calls: [success({ key }), success({ key })],
      rows: [{ ...counted(1, 0, successes), key }],
    })).length;
  assertEquals(judge(cached, "c0", 2), 0);
  assertEquals(judge(cached, "c0", 1), 1);
  assertEquals(judge(cached, "m0", 1), 0);
  assertEquals(judge(cached, "m0", 3), 1, "counted again");
  assertEquals(judge({ ...cached, hasLostDeferred: true }, "c0", 1), 0);
  assertEquals(judge(instanceOf(), "m0", 1), 1, "a store that asks the database defers nothing");
});

Deno.test("counts: a success from before a zeroing that is counted after it is found", () => {
  const zeroed = (id: number, successes: number) => ({
    ...counted(id, 0, successes),
    zeroedVersion: 5,
  });
  const judge = (begin: number, fate: RecordedCall["fate"] = "answered") =>
    zeroedProblems(runOf({
      instances: [instanceOf()],
      calls: [success({ begin: 10 }), success({ begin, fate })],
      rows: [counted(20, 0, 1), zeroed(50, 0), zeroed(90, 1)],
    })).length;
  assertEquals(judge(60), 0);
  assertEquals(judge(49), 0, "it ended at the zeroing");
  assertEquals(judge(15), 1);
  assertEquals(judge(15, "unknown"), 0, "the server can carry it out later");
});

Deno.test("counts: two callers with the same count are found", () => {
  const calls = [
    failure({ shown: shownOf("closed", 0, 1) }),
    failure({ shown: shownOf("closed", 0, 2), instance: "i1" }),
  ];
  assertEquals(sharedCountProblems(runOf({ calls })), []);
  const shared = [...calls, failure({ shown: shownOf("closed", 0, 2) })];
  assertEquals(sharedCountProblems(runOf({ calls: shared })).length, 1);
});
