/** That pruning removes what it may, in the right order, and nothing else. */

import { assertEquals } from "@std/assert";
import { demand, type OpenTable, openTable } from "../../support/circuit_table.ts";

const HOUR_MS = 3_600_000;
const NO_ACT = { reason: undefined, actor: undefined, forMs: undefined };

async function keysOf({ sql }: OpenTable): Promise<string[]> {
  const rows = await sql`select key from stoma_circuit_breakers order by key`;
  return rows.map(({ key }) => key);
}

async function versionsOf({ sql }: OpenTable): Promise<string[]> {
  const rows = await sql`
    select key || version as name from stoma_circuit_breakers_changes order by version`;
  return rows.map(({ name }) => name);
}

/** Writes rows of the log with the versions 1, 2, 3, ... */
async function fillLog({ sql }: OpenTable, ...changes: [key: string, at: number][]): Promise<void> {
  for (const [i, [key, at]] of changes.entries()) {
    await sql`
      insert into stoma_circuit_breakers_changes (version, xid, key, at, from_state, to_state, cause)
      values (${i + 1}, ${`${i + 100}`}, ${key}, ${at}, 'closed', 'open', 'trip')`;
  }
}

Deno.test("prune leaves circuits with a version for an hour, and for 100 of the longest bound", async () => {
  let time = 10 * HOUR_MS;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  const prune = () => table.prune({ idleMs: 0, limit: 10, isElected: true }, demand());
  await table.add(["never changed"], demand());
  await table.transition(["changed"], "open", demand());
  await table.transition(["changed"], "closed", demand());
  await table.transition(["open"], "open", demand());
  time += HOUR_MS;
  assertEquals(await prune(), 1);
  assertEquals(await keysOf(open), ["changed", "open"]);
  await table.register({ id: "x", label: "", boundMs: 100_000 }, demand());
  time += HOUR_MS;
  assertEquals(await prune(), 0);
  time += 100 * 100_000;
  assertEquals(await prune(), 1);
  assertEquals(await keysOf(open), ["open"]);
});

Deno.test("prune dates what another program wrote, and removes it only after it was idle (D4)", async () => {
  let time = 10 * HOUR_MS;
  await using open = await openTable({ now: () => time });
  const { table, sql } = open;
  await sql`insert into stoma_circuit_breakers (key, success_count) values ('undated', 5)`;
  const prune = () => table.prune({ idleMs: 1000, limit: 10, isElected: false }, demand());
  assertEquals([await prune(), await prune()], [0, 0]);
  time += 1001;
  assertEquals(await prune(), 1);
});

Deno.test("prune removes circuits that have failed last", async () => {
  let time = 10 * HOUR_MS;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  await table.record([{ key: "failed", failures: 1, successes: 0 }], demand());
  time++;
  await table.record([{ key: "worked", failures: 0, successes: 1 }], demand());
  time++;
  assertEquals(await table.prune({ idleMs: 0, limit: 1, isElected: false }, demand()), 1);
  assertEquals(await keysOf(open), ["failed"]);
});

Deno.test("trim removes keys that were used once before those that the fleet works with (E8)", async () => {
  let time = 10 * HOUR_MS;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  const tally = { failures: 0, successes: 1 };
  await table.record(
    [{ key: "in use", ...tally }, { key: "failing", failures: 1, successes: 0 }],
    demand(),
  );
  await table.record([{ key: "in use", ...tally }], demand());
  for (let i = 0; i < 5; i++) {
    time++;
    await table.record([{ key: `flood ${i}`, ...tally }], demand());
  }
  assertEquals(await table.trim(3, demand()), 4);
  assertEquals(await keysOf(open), ["failing", "flood 4", "in use"]);
  assertEquals(await table.trim(2, demand()), 1);
  assertEquals(await keysOf(open), ["failing", "in use"]);
});

Deno.test("trim removes keys that failed once before a circuit in use without failures", async () => {
  let time = 10 * HOUR_MS;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  const succeed = () => table.record([{ key: "in use", failures: 0, successes: 1 }], demand());
  await succeed();
  await succeed();
  for (let i = 0; i < 3; i++) {
    time++;
    await table.record([{ key: `flood ${i}`, failures: 1, successes: 0 }], demand());
  }
  assertEquals(await table.trim(2, demand()), 2);
  assertEquals(await keysOf(open), ["flood 2", "in use"]);
  // Out of use, a circuit without failures goes first.
  time += 120_000;
  assertEquals(await table.trim(1, demand()), 1);
  assertEquals(await keysOf(open), ["flood 2"]);
});

Deno.test("pruneLog removes old rows, but each circuit's newest", async () => {
  await using open = await openTable({ now: () => 10_000 });
  await fillLog(open, ["a", 1000], ["a", 2000], ["b", 1000], ["c", 9000], ["c", 9500]);
  assertEquals(await open.table.log.prune(5000, 100, demand()), 1);
  assertEquals(await versionsOf(open), ["a2", "b3", "c4", "c5"]);
});

Deno.test("pruneLog keeps the number of rows: first of those that change all the time", async () => {
  await using open = await openTable({ now: () => 10_000 });
  const flapping = Array.from({ length: 130 }, (): [string, number] => ["f", 9000]);
  await fillLog(open, ["a", 9000], ["b", 9000], ...flapping, ["b", 9000]);
  const { table } = open;
  assertEquals(await table.log.prune(9000, 133, demand()), 0);
  // Down to 95 percent of 120: the oldest rows of the flapping circuit.
  assertEquals(await table.log.prune(9000, 120, demand()), 19);
  const left = await versionsOf(open);
  assertEquals([left[0], left[1], left[2], left.at(-1)], ["a1", "b2", "f22", "b133"]);
  // Then the oldest rows of all that are no circuit's newest.
  assertEquals(await table.log.prune(9000, 100, demand()), 19);
  assertEquals((await versionsOf(open)).slice(0, 2), ["a1", "f40"]);
  // The number of rows wins even so.
  assertEquals(await table.log.prune(9000, 1, demand()), 94);
  assertEquals(await versionsOf(open), ["b133"]);
});

Deno.test("pruneLog notes what it removed, and removes instances that are gone", async () => {
  let time = 10_000;
  await using open = await openTable({ now: () => time });
  const { table, sql } = open;
  await table.register({ id: "gone", label: "", boundMs: 0 }, demand());
  await table.register({ id: "slow", label: "", boundMs: HOUR_MS }, demand());
  time += HOUR_MS;
  await table.register({ id: "alive", label: "", boundMs: 0 }, demand());
  await fillLog(open, ["a", time], ["a", time], ["a", time]);
  assertEquals(await table.log.prune(1000, 2, demand()), 1);
  const rows = await sql`
    select id, pruned_xid::text as pruned from stoma_circuit_breakers_instances order by id`;
  assertEquals([...rows], [
    { id: "alive", pruned: null },
    { id: "slow", pruned: null },
    { id: "token", pruned: "100" },
  ]);
});

Deno.test("pruning in the background does nothing while another instance does it, and waits for none", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.add(["a"], demand());
  await fillLog(open, ["a", 1], ["a", 1]);
  await sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers_instances where id = 'token' for update`;
    assertEquals(await table.prune({ idleMs: 0, limit: 10, isElected: true }, demand()), 0);
    assertEquals(await table.trim(0, demand()), 0);
    assertEquals(await table.log.prune(1, 1, demand()), 0);
  });
});

Deno.test("a change of a circuit holds although pruning removes its new row before it", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  let removals = 2;
  const add = table.add.bind(table);
  table.add = async (keys, demand) => {
    const added = await add(keys, demand);
    // As pruning removes a closed row without a version.
    if (removals-- > 0) {
      await sql`delete from stoma_circuit_breakers where key in ${sql([...keys])}`;
    }
    return added;
  };
  const forced = await table.force("forced", { ...NO_ACT, state: "open" }, demand());
  assertEquals([forced?.forced?.state, removals], ["open", -1]);
  removals = 1;
  const moved = await table.transition(["moved", "other"], "open", demand());
  assertEquals(moved.map(({ key, state }) => [key, state]), [["moved", "open"], ["other", "open"]]);
  removals = Infinity;
  const gone = await table.force("x", { ...NO_ACT, state: "open" }, {
    ...demand(),
    isAwaited: false,
  });
  assertEquals(gone, undefined);
});
