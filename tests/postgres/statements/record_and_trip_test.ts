/** That the statement which records a result opens the circuit that is due, with its row of the log. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import type postgres from "postgres";
import type { Circuit } from "../../../src/circuit.ts";
import type { CircuitTable } from "../../../src/postgres/circuit_table.ts";
import { demand, logOf, openTable } from "../../support/circuit_table.ts";
import { randomOf } from "../../support/random.ts";
import { rulesOf } from "../../support/rules.ts";

const THRESHOLD = rulesOf({ trip: "store", failureThreshold: 3, resetTimeoutMs: 1 });
const WINDOWED = rulesOf({ failureThreshold: 3, failureWindowMs: 60_000, resetTimeoutMs: 1 });
const RATE = rulesOf({ failureRateThreshold: 0.5, minimumThroughput: 4, resetTimeoutMs: 1 });
const BY_CALLER = rulesOf({ failureThreshold: 3 });

/** Records results of one circuit in one statement. */
async function record(
  table: CircuitTable,
  failures: number,
  successes = 0,
  key = "a",
): Promise<Circuit> {
  return (await table.record([{ key, failures, successes }], demand()))[0]!;
}

/** Each circuit's last row of the log is what its row says, and its log is a chain of real steps. */
async function assertLogged(sql: postgres.Sql): Promise<void> {
  const rows = await sql`
    select key, version::float8, state, logged_state, trips from stoma_circuit_breakers`;
  for (const { key, version, state, logged_state } of rows) {
    assertEquals(logged_state, state, key);
    const log = await sql`
      select version::float8, from_state, to_state, cause from stoma_circuit_breakers_changes
      where key = ${key} order by version`;
    let before = "closed";
    for (const { from_state, to_state, cause } of log) {
      assertEquals(from_state, before, `${key}: ${JSON.stringify(log)}`);
      assert(from_state !== to_state || ["round", "zeroed", "suspect"].includes(cause), cause);
      before = to_state;
    }
    assertEquals([before, log.at(-1)?.version ?? 0], [state, version], key);
  }
}

Deno.test("a record that trips writes one row of the log, with its actor, role and counts", async () => {
  for (const rules of [THRESHOLD, WINDOWED, RATE]) {
    await using open = await openTable({ rules, actor: "pod-7" });
    const { table, sql } = open;
    await record(table, 0, 2);
    const opened = await record(table, 4, 1);
    assertEquals([opened.state, opened.failureCount, opened.successCount], ["open", 4, 3]);
    assertEquals([opened.openedAt, opened.lastStateChange], [opened.readAt, opened.readAt]);
    assertGreater(opened.version, 0);
    await record(table, 5, 5);
    const rows = await sql`
      select version::float8, at::float8, from_state, to_state, cause, actor, role, reason,
        failure_count::int, success_count::int
      from stoma_circuit_breakers_changes`;
    assertEquals([...rows], [{
      version: opened.version,
      at: opened.lastStateChange,
      from_state: "closed",
      to_state: "open",
      cause: "trip",
      actor: "pod-7",
      role: (await sql`select session_user as name`)[0]!.name,
      reason: null,
      failure_count: 4,
      success_count: 3,
    }]);
    await assertLogged(sql);
  }
});

Deno.test("one statement opens those of its circuits that are due", async () => {
  const logged: number[] = [];
  await using open = await openTable({
    rules: RATE,
    onLogged: (changes, circuits) => logged.push(changes.length, circuits.length),
  });
  const { table, sql } = open;
  await table.add(["a", "b", "c"], demand());
  const tally = (key: string, failures: number, successes: number, slow = 0) => ({
    key,
    failures,
    successes,
    slow,
  });
  const circuits = await table.record(
    [tally("c", 4, 4), tally("a", 3, 4, 7), tally("b", 0, 9), tally("new", 4, 0)],
    demand(),
  );
  const states = Object.fromEntries(circuits.map(({ key, state }) => [key, state]));
  assertEquals(states, { a: "closed", b: "closed", c: "open", new: "open" });
  // The new circuit opens in a statement of its own.
  assertEquals(logged, [1, 4, 1, 1]);
  await assertLogged(sql);
});

Deno.test("where the trip of a new circuit was lost, the next record opens it", async () => {
  for (const rules of [THRESHOLD, WINDOWED]) {
    await using open = await openTable({ rules });
    const byCaller = open.another({ rules: { ...rules, trip: BY_CALLER.trip } });
    assertEquals((await record(byCaller, 5)).state, "closed");
    assertEquals((await record(open.table, 0, 1)).state, "closed");
    assertEquals((await record(open.table, 1)).state, "open");
    await assertLogged(open.sql);
  }
});

Deno.test("an instance whose caller decides opens nothing, whatever it records", async () => {
  await using open = await openTable({ rules: BY_CALLER });
  assertEquals((await record(open.table, 50)).state, "closed");
  assertEquals((await open.table.transition(["a"], "open", demand()))[0]!.state, "open");
});

Deno.test("a circuit that another program removed while it was open is noticed before it opens", async () => {
  await using open = await openTable({ rules: THRESHOLD });
  const { table, sql } = open;
  await record(table, 3);
  await sql`delete from stoma_circuit_breakers`;
  await record(table, 1, 1);
  assertEquals((await record(table, 3)).state, "closed");
  assertEquals((await table.read(["a"], demand()))[0]!.state, "closed");
  assertEquals((await record(table, 1)).state, "open");
  await sql`delete from stoma_circuit_breakers`;
  // A new circuit opens in a statement of its own, which notices the same.
  assertEquals((await record(table, 3)).state, "open");
  const steps = ["open -> closed by external", "closed -> open by trip"];
  assertEquals(await logOf(sql, "a"), ["closed -> open by trip", ...steps, ...steps]);
  await assertLogged(sql);
});

Deno.test("a circuit that another program opened or closed by hand is not opened over", async () => {
  await using open = await openTable({ rules: THRESHOLD });
  const { table, sql } = open;
  await record(table, 3);
  await sql`update stoma_circuit_breakers set state = 'closed'`;
  assertEquals((await record(table, 1)).state, "closed");
  await table.read(["a"], demand());
  assertEquals((await record(table, 1)).state, "open");
  assertEquals((await logOf(sql, "a")).slice(1), [
    "open -> closed by external",
    "closed -> open by trip",
  ]);
});

Deno.test("records from many connections at once open a circuit once, and count exactly", async () => {
  for (const rules of [THRESHOLD, RATE]) {
    await using open = await openTable({ rules });
    const { sql } = open;
    const tables = [open.table, open.another(), open.another()];
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, i) => record(tables[i % 3]!, 1, 1, i % 2 === 0 ? "a" : "b")),
    );
    assert(results.some(({ state }) => state === "open"));
    for (const key of ["a", "b"]) {
      assertEquals(await logOf(sql, key), ["closed -> open by trip"]);
      const [circuit] = await open.table.read([key], demand());
      assertEquals([circuit!.failureCount, circuit!.successCount], [30, 30]);
      const counted = results.filter((each) => each.key === key);
      assertEquals(
        counted.map(({ failureCount }) => failureCount).toSorted((a, b) => a - b),
        Array.from({ length: 30 }, (_, i) => i + 1),
      );
    }
    await assertLogged(sql);
  }
});

Deno.test("whatever records, probes and closes, each step is in the log once and in a chain", async () => {
  const random = randomOf(14);
  const below = (bound: number) => Math.floor(random() * bound);
  await using open = await openTable({ rules: RATE });
  const tables = [RATE, THRESHOLD, WINDOWED, BY_CALLER].map((rules) => open.another({ rules }));
  const act = async (i: number) => {
    const table = tables[i % tables.length]!;
    const key = ["a", "b", "c"][below(3)]!;
    switch (below(6)) {
      case 0: {
        if (table === tables[3]) return;
        const [claimed] = await table.claim([{ key, wanted: 1, patienceMs: 0 }], demand());
        if (claimed === undefined || claimed.granted === 0) return;
        await table.settle(key, below(2) === 0 ? "failure" : "success", claimed, demand());
        return;
      }
      case 1:
        await table.transition([key], below(2) === 0 ? "open" : "closed", demand());
        return;
      default: {
        const keys = ["a", "b", "c"].slice(below(3));
        const tallies = keys.map((key) => ({ key, failures: below(3), successes: below(3) }));
        await table.record(tallies, demand());
      }
    }
  };
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => act(i)));
  }
  await assertLogged(open.sql);
  const [{ trips }] = await open.sql`
    select count(*)::int as trips from stoma_circuit_breakers_changes where cause = 'trip'` as [
    { trips: number },
  ];
  assertGreater(trips, 5);
});
