/** That refusals are added without a wait, without a version, and only where they belong. */

import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { demand, openTable } from "../../support/circuit_table.ts";

async function countsOf(sql: postgres.Sql): Promise<Record<string, number>> {
  const rows = await sql`select key, refused_count::int as count from stoma_circuit_breakers`;
  return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
}

/** Circuits whose outage began at some time. */
async function openCircuits(sql: postgres.Sql, openedAt: Record<string, number>): Promise<void> {
  for (const [key, at] of Object.entries(openedAt)) {
    await sql`insert into stoma_circuit_breakers (key, state, logged_state, opened_at)
      values (${key}, 'open', 'open', ${at})`;
  }
}

Deno.test("refusals are added to rows that exist, and make none", async () => {
  await using open = await openTable();
  await openCircuits(open.sql, { a: 5, b: 5 });
  const calls = [
    { key: "b", refused: 2, openedAt: 5 },
    { key: "none", refused: 9, openedAt: 5 },
    { key: "a", refused: 1, openedAt: 5 },
  ];
  assertEquals(await open.table.countRefused(calls, demand()), []);
  assertEquals(await open.table.countRefused(calls, demand()), []);
  assertEquals(await countsOf(open.sql), { a: 2, b: 4 });
});

Deno.test("refusals do not wait for a locked row, which is left over", async () => {
  await using open = await openTable();
  await openCircuits(open.sql, { a: 5, b: 5 });
  const calls = ["a", "b", "none"].map((key) => ({ key, refused: 3, openedAt: 5 }));
  await open.sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers where key = 'a' for update`;
    assertEquals(await open.table.countRefused(calls, demand()), ["a"]);
  });
  assertEquals(await countsOf(open.sql), { a: 0, b: 3 });
});

Deno.test("refusals of an earlier outage do not count for a later one, nor wait for it", async () => {
  await using open = await openTable();
  await openCircuits(open.sql, { later: 6, same: 5, closed: 0 });
  const calls = ["later", "same", "closed"].map((key) => ({ key, refused: 3, openedAt: 5 }));
  assertEquals(await open.table.countRefused(calls, demand()), []);
  assertEquals(await countsOf(open.sql), { later: 0, same: 3, closed: 3 });
});

Deno.test("refusals take no version, write no log and touch no index", async () => {
  await using open = await openTable();
  await openCircuits(open.sql, { a: 5 });
  const seen = () =>
    open.sql`select version::int, updated_at::int,
      (select count(*)::int from stoma_circuit_breakers_changes) as changes,
      (select last_value::int from stoma_circuit_breakers_versions) as last
      from stoma_circuit_breakers`.then(([row]) => ({ ...row }));
  const before = await seen();
  for (let i = 0; i < 20; i++) {
    await open.table.countRefused([{ key: "a", refused: 1, openedAt: 5 }], demand());
  }
  assertEquals(await seen(), before);
  assertEquals(await countsOf(open.sql), { a: 20 });
  // An update of columns without an index is a HOT update.
  const indexed = await open.sql`
    select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
    where indrelid = 'stoma_circuit_breakers'::regclass`;
  assertEquals(indexed.map(({ attname }) => attname).includes("refused_count"), false);
  assertEquals(indexed.length > 0, true);
});

Deno.test("many instances that add at once lose nothing", async () => {
  await using open = await openTable();
  await openCircuits(open.sql, { a: 5, b: 5 });
  const instances = Array.from({ length: 8 }, () => open.another());
  let sent = 0;
  await Promise.all(instances.map(async (table) => {
    for (let i = 0; i < 10; i++) {
      let calls = ["b", "a"].map((key) => ({ key, refused: 1, openedAt: 5 }));
      sent += calls.length;
      while (calls.length > 0) {
        const leftOver = await table.countRefused(calls, demand());
        calls = calls.filter(({ key }) => leftOver.includes(key));
      }
    }
  }));
  assertEquals(await countsOf(open.sql), { a: sent / 2, b: sent / 2 });
});
