/** That each change is in the log: with its cause, once, and in a chain without a hole. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import type { Circuit } from "../../../src/circuit.ts";
import { demand, logOf, openTable } from "../../support/circuit_table.ts";

const NO_ACT = { reason: undefined, actor: undefined };
const SUCCESS = "success";
const FAILURE = "failure";
const RELEASE = { state: undefined, forMs: undefined, ...NO_ACT };

Deno.test("each change of a circuit writes one row of the log, with its cause", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  const claim = async () =>
    (await table.claim([{ key: "a", wanted: 1, patienceMs: 0 }], demand()))[0]!;
  await table.record([{ key: "a", failures: 3, successes: 1 }], demand());
  await table.transition(["a"], "open", demand());
  await sql`select pg_sleep(0.002)`;
  const first = await claim();
  await table.settle("a", FAILURE, first, demand());
  await sql`select pg_sleep(0.002)`;
  const second = await claim();
  await claim(); // the second probe of the round: no change
  await table.settle("a", SUCCESS, second, demand());
  await table.record([{ key: "a", failures: 1, successes: 1 }], demand());
  await table.transition(["a"], "closed", demand());
  await table.transition(["a"], "closed", demand()); // nothing falls: no change
  await table.force("a", { ...RELEASE, state: "open" }, demand());
  await table.force("a", RELEASE, demand());
  await table.force("a", RELEASE, demand()); // not forced: no change
  await table.transition(["a"], "half-open", demand());
  await table.reset("a", NO_ACT, demand());
  await table.reset("a", NO_ACT, demand()); // blank: no change
  assertEquals(await logOf(sql, "a"), [
    "closed -> open by trip",
    "open -> half-open by probe",
    "half-open -> open by probe",
    "open -> half-open by probe",
    "half-open -> closed by probe",
    "closed -> closed by zeroed",
    "closed -> open by force",
    "open -> closed by release",
    "closed -> half-open by manual",
    "half-open -> closed by reset",
  ]);
});

Deno.test("a row of the log has the actor, the role, the reason and the counts of its moment", async () => {
  await using open = await openTable({ actor: "pod-7" });
  const { table, sql } = open;
  await table.record([{ key: "a", failures: 3, successes: 2 }], demand());
  const [opened] = await table.transition(["a"], "open", demand());
  await table.force(
    "a",
    { state: "closed", forMs: 5000, reason: "it works", actor: "ann" },
    demand(),
  );
  await table.reset("a", { reason: "again", actor: undefined }, demand());
  const rows = await sql`
    select version::int, at::float8, actor, role, reason, failure_count::int, success_count::int
    from stoma_circuit_breakers_changes order by version`;
  const role = (await sql`select session_user as name`)[0]!.name;
  const counts = { role, failure_count: 3, success_count: 2 };
  assertEquals(rows.map(({ version: _, at: __, ...row }) => row), [
    { actor: "pod-7", reason: null, ...counts },
    { actor: "ann", reason: "it works", ...counts },
    { actor: "pod-7", reason: "again", ...counts },
  ]);
  assertEquals(rows[0]!.at, opened!.lastStateChange);
});

Deno.test("a version never comes back: not after a reset, nor after the row is gone", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  const versions: number[] = [];
  const note = (circuit: Circuit | undefined) => versions.push(circuit!.version);
  note((await table.transition(["a"], "open", demand()))[0]);
  note(await table.reset("a", NO_ACT, demand()));
  note((await table.transition(["a"], "open", demand()))[0]);
  await sql`delete from stoma_circuit_breakers`;
  note((await table.transition(["a"], "half-open", demand()))[0]);
  for (let i = 1; i < versions.length; i++) assertGreater(versions[i]!, versions[i - 1]!);
});

Deno.test("a read logs once what plain SQL did to a row, and a removed row as well", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.record([{ key: "a", failures: 1, successes: 0 }], demand());
  await sql`update stoma_circuit_breakers set state = 'open' where key = 'a'`;
  const reads = await Promise.all([1, 2, 3, 4].map(() => table.read(["a"], demand())));
  assert(reads.every(([circuit]) => circuit!.state === "open"));
  await table.read(["a", "b"], demand());
  assertEquals(await logOf(sql, "a"), ["closed -> open by external"]);

  await sql`delete from stoma_circuit_breakers where key = 'a'`;
  await Promise.all([1, 2, 3, 4].map(() => table.read(["a"], demand())));
  assertEquals((await table.read(["a"], demand()))[0]!.state, "closed");
  assertEquals(await logOf(sql, "a"), ["closed -> open by external", "open -> closed by external"]);
});

Deno.test("the next change of a circuit logs first what others did before it", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await sql`insert into stoma_circuit_breakers (key, state) values ('a', 'open')`;
  await table.transition(["a"], "half-open", demand());
  await sql`delete from stoma_circuit_breakers where key = 'a'`;
  await table.record([{ key: "a", failures: 1, successes: 0 }], demand());
  await table.transition(["a"], "open", demand());
  assertEquals(await logOf(sql, "a"), [
    "closed -> open by external",
    "open -> half-open by probe",
    "half-open -> closed by external",
    "closed -> open by trip",
  ]);
});

Deno.test("a forced state that ends by its time gets one row, however many notice it", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.force("a", { ...RELEASE, state: "open", forMs: 1 }, demand());
  await sql`select pg_sleep(0.005)`;
  await Promise.all([
    ...[1, 2, 3].map(() => table.read(["a"], demand())),
    ...[1, 2, 3].map(() => table.noticeExpiry(demand())),
    table.record([{ key: "a", failures: 1, successes: 0 }], demand()),
  ]);
  await table.noticeExpiry(demand());
  assertEquals(await logOf(sql, "a"), ["closed -> open by force", "open -> closed by expiry"]);
});

Deno.test("a page of the log notices forced states that have ended and that no call reads", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.force("a", { ...RELEASE, state: "open", forMs: 1 }, demand());
  await sql`select pg_sleep(0.005)`;
  const page = await table.log.page({
    after: undefined,
    until: undefined,
    afterVersion: undefined,
    key: undefined,
    since: undefined,
    hasRounds: false,
    limit: 10,
  }, demand());
  assertEquals(page.changes.map(({ cause }) => cause), ["force", "expiry"]);
});

Deno.test("a read waits for no lock: what it cannot log, a later read logs", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await sql`insert into stoma_circuit_breakers (key, state) values ('a', 'open')`;
  await sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers where key = 'a' for update`;
    assertEquals((await table.read(["a"], demand()))[0]!.state, "open");
    assertEquals(await logOf(sql, "a"), []);
  });
  await table.read(["a"], demand());
  assertEquals(await logOf(sql, "a"), ["closed -> open by external"]);
});

Deno.test("a failed statement leaves neither a change nor a row of the log", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.record([{ key: "a", failures: 1, successes: 0 }], demand());
  await sql`alter table stoma_circuit_breakers_changes add constraint never check (key <> 'a')`;
  let refused = false;
  await table.transition(["a"], "open", demand()).catch(() => refused = true);
  assert(refused);
  assertEquals((await table.read(["a"], demand()))[0]!.state, "closed");
  assertEquals(await logOf(sql, "a"), []);
});

Deno.test("transitions that race with resets leave a chain, and nothing that did not happen (E1)", async () => {
  await using open = await openTable();
  const { table, another, sql } = open;
  const others = [table, another(), another(), another()];
  const keys = Array.from({ length: 20 }, (_, i) => `circuit ${i}`);
  for (let round = 0; round < 10; round++) {
    await table.transition(keys, "open", demand());
    await Promise.all(keys.flatMap((key, i) => [
      others[i % 4]!.transition([key], "closed", demand()),
      others[(i + 1) % 4]!.reset(key, NO_ACT, demand()),
      others[(i + 2) % 4]!.transition([key], "closed", demand()),
    ]));
  }
  for (const key of keys) {
    const rows = await sql`
      select from_state, to_state, cause from stoma_circuit_breakers_changes
      where key = ${key} and cause <> 'zeroed' order by version`;
    assertEquals(rows.length, 20, JSON.stringify(rows));
    rows.forEach((row, i) => {
      assertEquals(row.from_state, i === 0 ? "closed" : rows[i - 1]!.to_state);
      assertEquals(row.to_state, i % 2 === 0 ? "open" : "closed");
    });
  }
});
