import { assertEquals } from "@std/assert";
import type { AuditRow } from "../recorded.ts";
import { logProblems } from "./log.ts";
import { logOf, openRow, rowOf, runOf } from "./made_up.ts";

const opened = openRow(1, 100);
const closed = rowOf({ id: 2, at: 200, version: 2, lastStateChange: 200 });
const rows = [opened, closed];
const log = [logOf({ id: 1, at: 100 }), logOf({ id: 2, at: 200, from: "open", to: "closed" })];

function judge(changed: { rows?: AuditRow[]; log?: typeof log }): number {
  return logProblems(runOf({ rows, log, ...changed })).length;
}

Deno.test("log: one row for each change, with its states and transaction", () => {
  assertEquals(logProblems(runOf({ rows, log })), []);
  // Counting changes nothing, and a circuit that was inserted has no version.
  const counting = [
    rowOf({ id: 0, at: 50, failures: 1 }),
    opened,
    { ...opened, id: 1.5, failures: 2 },
    closed,
  ];
  assertEquals(logProblems(runOf({ rows: counting, log })), []);
});

Deno.test("log: a missing row, one too many and an invented one are found", () => {
  assertEquals(judge({ log: [log[0]!] }), 1);
  assertEquals(judge({ log: [...log, log[1]!] }) > 0, true);
  assertEquals(judge({ log: [...log, logOf({ id: 9, at: 300 })] }), 1);
  const early = logOf({ id: 1, version: 1.5, xid: "1", at: 150, from: "open", to: "open" });
  assertEquals(judge({ log: [log[0]!, early, log[1]!] }) > 0, true);
});

Deno.test("log: a statement logs what it noticed before its own change, and nothing else", () => {
  const both = (cause: string) => [
    log[0]!,
    logOf({ id: 1.5, xid: "2", at: 200, from: "open", to: "half-open", cause }),
    logOf({ id: 2, at: 200, from: "half-open", to: "closed" }),
  ];
  assertEquals(judge({ log: both("external") }) - 1, 0, "external without an act of others");
  assertEquals(judge({ log: both("expiry") }), 0);
  assertEquals(judge({ log: both("manual") }), 1);
});

Deno.test("log: a hole between two rows and a wrong state are found", () => {
  assertEquals(judge({ log: [log[0]!, { ...log[1]!, from: "half-open" }] }), 1);
  assertEquals(judge({ log: [log[0]!, { ...log[1]!, to: "half-open" }] }), 1);
  assertEquals(judge({ log: [{ ...log[0]!, xid: "77" }, log[1]!] }), 1, "another transaction");
});

Deno.test("log: versions that fall, and changes without a version, are found", () => {
  const fallen = [opened, { ...closed, version: 0 }];
  assertEquals(judge({ rows: fallen, log: [log[0]!] }) > 0, true);
  const silent = [opened, { ...closed, version: 1, loggedState: "open" as const }];
  assertEquals(judge({ rows: silent, log: [log[0]!] }), 1);
  const stamped = [opened, { ...opened, id: 2, loggedState: "closed" as const }];
  assertEquals(judge({ rows: stamped, log: [log[0]!] }), 1);
  const unlogged = [{ ...opened, loggedState: "closed" as const }];
  assertEquals(judge({ rows: unlogged, log: [{ ...log[0]!, to: "closed" }] }), 1);
});

Deno.test("log: a forced state may end by its time, and is logged when it is noticed", () => {
  const forced = rowOf({
    id: 1,
    at: 100,
    version: 1,
    loggedState: "open",
    forcedState: "open",
    forcedAt: 100,
    forcedUntil: 150,
  });
  const counting = { ...forced, id: 2, at: 200, failures: 1 };
  const stamped = rowOf({ id: 3, at: 300, version: 3 });
  const entries = [logOf({ id: 1, at: 100, cause: "force" })];
  const short = { ...forced, at: 160 };
  assertEquals(judge({ rows: [short], log: entries }), 0, "ended while its statement ran");
  assertEquals(judge({ rows: [forced, counting], log: entries }), 0);
  const expiry = logOf({ id: 3, at: 300, from: "open", to: "closed", cause: "expiry" });
  assertEquals(judge({ rows: [forced, counting, stamped], log: [...entries, expiry] }), 0);
});

Deno.test("log: plain SQL is logged once, and at the end it is", () => {
  const key = "x0";
  const act = { ...opened, key, writer: "foreign", version: 0, loggedState: "closed" as const };
  const stamped = { ...opened, key, id: 2, xid: "2", version: 2 };
  const entry = logOf({ id: 2, at: 150, key, cause: "external" });
  assertEquals(judge({ rows: [act, stamped], log: [entry] }), 0);
  assertEquals(judge({ rows: [act], log: [] }), 1, "not noticed");
  const again = { ...stamped, id: 3, xid: "3", version: 3 };
  const twice = [entry, logOf({ id: 3, at: 160, key, from: "open", cause: "external" })];
  assertEquals(judge({ rows: [act, stamped, again], log: twice }), 1, "noticed twice");
});

Deno.test("log: an open circuit leaves by plain SQL alone", () => {
  const removed = rowOf({ id: 2, at: 200, isDeleted: true });
  assertEquals(judge({ rows: [opened, removed], log: [log[0]!] }), 1);
  const foreign = { ...removed, writer: "foreign" };
  assertEquals(judge({ rows: [opened, foreign], log: [log[0]!] }), 0);
});
