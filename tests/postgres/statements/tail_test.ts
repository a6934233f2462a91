/** That a cursor over the log misses nothing and repeats nothing. */

import { assert, assertEquals } from "@std/assert";
import type { LogCursor, LogRequest } from "../../../src/ports.ts";
import { demand, type OpenTable, openTable } from "../../support/circuit_table.ts";

const ALL: LogRequest = {
  after: undefined,
  until: undefined,
  afterVersion: undefined,
  key: undefined,
  since: undefined,
  hasRounds: false,
  limit: 100,
};

async function cursorOf({ table }: OpenTable): Promise<LogCursor> {
  return (await table.log.page({ ...ALL, limit: 0 }, demand())).cursor;
}

async function keysAfter({ table }: OpenTable, after: LogCursor): Promise<string[]> {
  const tail = await table.log.tail(after, 100, demand());
  const page = await table.log.page({ ...ALL, after }, demand());
  const keys = [...tail.circuits.map(({ key }) => key), ...tail.absent].toSorted();
  assertEquals([...new Set(page.changes.map(({ key }) => key))].toSorted(), keys);
  return keys;
}

/** What the log has to hold of a change, for those that this test makes by hand. */
const CHANGE = "(version, xid, key, at, from_state, to_state, cause)";

function valuesOf(key: string): string {
  return `nextval('stoma_circuit_breakers_versions'), pg_current_xact_id(), '${key}', 1, 'closed', 'open', 'trip'`;
}

Deno.test("a change shows after the cursors before its commit, also where its transaction is old", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  const log = "stoma_circuit_breakers_changes";
  const begin = await cursorOf(open);
  // Draws its version and its id first, commits last.
  const slow = await sql.reserve();
  await slow.unsafe(`begin; insert into ${log} ${CHANGE} values (${valuesOf("slow")})`);
  await table.transition(["fast"], "open", demand());
  const between = await cursorOf(open);
  assertEquals(await keysAfter(open, begin), ["fast"]);
  assertEquals(await keysAfter(open, between), []);
  await table.transition(["later"], "open", demand());
  await slow.unsafe("commit");
  slow.release();
  assertEquals(await keysAfter(open, begin), ["fast", "later", "slow"]);
  assertEquals(await keysAfter(open, between), ["later", "slow"]);
  assertEquals(await keysAfter(open, await cursorOf(open)), []);
});

Deno.test("a foreign transaction that stays open delays no change", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  const foreign = await sql.reserve();
  await foreign.unsafe(
    "create table foreign_table (id int); begin; insert into foreign_table values (1)",
  );
  const cursor = await cursorOf(open);
  await table.transition(["a"], "open", demand());
  assertEquals(await keysAfter(open, cursor), ["a"]);
  await foreign.unsafe("rollback");
  foreign.release();
});

Deno.test("a page of the log ends where its limit is, and goes on from there", async () => {
  await using open = await openTable();
  const { table } = open;
  const after = await cursorOf(open);
  const keys = Array.from({ length: 10 }, (_, i) => `circuit ${i}`);
  for (const key of keys) await table.transition([key], "open", demand());
  const first = await table.log.page({ ...ALL, after, limit: 4 }, demand());
  await table.transition(["later"], "open", demand());
  const afterVersion = first.changes.at(-1)!.version;
  const rest = { ...ALL, after, until: first.cursor, afterVersion };
  const second = await table.log.page(rest, demand());
  const found = [...first.changes, ...second.changes].map(({ key }) => key);
  assertEquals(found, keys);
  const third = await table.log.page({ ...ALL, after: first.cursor }, demand());
  assertEquals(third.changes.map(({ key }) => key), ["later"]);
});

Deno.test("pages are by circuit and by time as well", async () => {
  let time = 1000;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  for (const to of ["open", "half-open", "closed"] as const) {
    time += 1000;
    await table.transition(["a", "b"], to, demand());
  }
  const ofA = await table.log.page({ ...ALL, key: "a" }, demand());
  assertEquals(ofA.changes.map(({ from, to, at }) => [from, to, at]), [
    ["closed", "open", 2000],
    ["open", "half-open", 3000],
    ["half-open", "closed", 4000],
  ]);
  const late = await table.log.page({ ...ALL, since: 3000 }, demand());
  assertEquals(late.changes.map(({ key, at }) => [key, at]), [
    ["a", 3000],
    ["b", 3000],
    ["a", 4000],
    ["b", 4000],
  ]);
  assertEquals((await table.log.page({ ...ALL, since: 4001 }, demand())).changes, []);
});

Deno.test("rounds of probes are in the log, and shown only where they are asked for", async () => {
  let time = 1000;
  await using open = await openTable({ now: () => time });
  const { table } = open;
  await table.transition(["a"], "open", demand());
  for (let round = 0; round < 2; round++) {
    time += 100_000;
    await table.claim([{ key: "a", wanted: 1, patienceMs: 0 }], demand());
  }
  const causes = async (hasRounds: boolean) =>
    (await table.log.page({ ...ALL, hasRounds }, demand())).changes.map(({ cause }) => cause);
  assertEquals(await causes(false), ["trip", "probe"]);
  assertEquals(await causes(true), ["trip", "probe", "round"]);
});

Deno.test("another log, an emptied epoch and a removed change that was not seen are breaks", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  const isBreak = async (after: LogCursor) => {
    const { isBreak } = await table.log.tail(after, 100, demand());
    assertEquals((await table.log.page({ ...ALL, after }, demand())).isBreak, isBreak);
    return isBreak;
  };
  const first = await cursorOf(open);
  await table.transition(["a"], "open", demand());
  assertEquals(await isBreak(first), false);

  const seen = await cursorOf(open);
  assert(await table.log.prune(1e12, 0, demand()) > 0);
  assertEquals(await isBreak(first), true);
  assertEquals(await isBreak(seen), false);

  // What a crash of the server does to an unlogged table.
  await sql`truncate stoma_circuit_breakers_epoch`;
  const afterCrash = await Promise.all([1, 2, 3].map(() => table.log.tail(seen, 100, demand())));
  assertEquals(afterCrash.map(({ isBreak }) => isBreak), [true, true, true]);
  assertEquals(new Set(afterCrash.map(({ cursor }) => cursor.run)).size, 1);

  const later = await cursorOf(open);
  await sql`truncate stoma_circuit_breakers_changes`;
  assertEquals(await isBreak(later), true);
});

Deno.test("ids below the cursor that are used again are found by their versions", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.transition(["a"], "open", demand());
  const { snapshot, version } = await cursorOf(open);
  await table.transition(["b"], "open", demand());
  // As after a crash: the id of a change is one that the cursor has passed.
  await sql`update stoma_circuit_breakers_changes set xid = '3' where key = 'b'`;
  const page = await table.log.page(
    { ...ALL, after: { snapshot, version, run: "another" } },
    demand(),
  );
  assertEquals(page.isBreak, true);
  assertEquals(page.changes.map(({ key }) => key), ["b"]);
});

Deno.test("too many changes are too long a page, and the cursor goes on", async () => {
  await using open = await openTable();
  const { table } = open;
  const cursor = await cursorOf(open);
  await table.transition(Array.from({ length: 12 }, (_, i) => `circuit ${i}`), "open", demand());
  const long = await table.log.tail(cursor, 10, demand());
  assertEquals({ isTooLong: long.isTooLong, circuits: long.circuits.length }, {
    isTooLong: true,
    circuits: 0,
  });
  const next = await table.log.tail(long.cursor, 10, demand());
  assertEquals({ isTooLong: next.isTooLong, circuits: next.circuits.length }, {
    isTooLong: false,
    circuits: 0,
  });
});

Deno.test("a look finds what plain SQL did to states, until it is noticed, and no more than its limit", async () => {
  await using open = await openTable();
  const { table, sql } = open;
  await table.add(["a", "b", "c", "unknown", "ended", "lasting"], demand());
  const cursor = await cursorOf(open);
  const look = async (limit = 100) => {
    const { circuits, isBreak, isTooLong } = await table.log.tail(cursor, limit, demand());
    assertEquals([isBreak, isTooLong], [false, false]);
    return circuits.map(({ key, state }) => `${key} ${state}`).toSorted();
  };
  assertEquals(await look(), []);
  await sql`update stoma_circuit_breakers set state = 'unknown' where key = 'unknown'`;
  await sql`update stoma_circuit_breakers set forced_state = 'open', forced_until = 5 where key = 'ended'`;
  assertEquals(await look(), [], "the fleet sees them as closed");
  const held = await sql.reserve();
  await held`update stoma_circuit_breakers set state = 'open' where key in ('a', 'b', 'c')`;
  await held`begin`;
  await held`select from stoma_circuit_breakers where key in ('a', 'b', 'c') for update`;
  assertEquals(await look(), ["a open", "b open", "c open"]);
  assertEquals(await look(), ["a open", "b open", "c open"], "they could not be noticed");
  assertEquals((await look(1)).length, 1);
  await held`commit`;
  held.release();
  await sql`update stoma_circuit_breakers set forced_state = 'open' where key = 'lasting'`;
  assertEquals((await look()).length, 4);
  // It is in the log now, and only there.
  assertEquals(await keysAfter(open, cursor), ["a", "b", "c", "lasting"]);
  assertEquals(await keysAfter(open, await cursorOf(open)), []);
});
