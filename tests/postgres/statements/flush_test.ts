/** That deferred successes count exactly once, and that a flush waits for nothing. */

import { assert, assertEquals } from "@std/assert";
import type { Deferred, Flush } from "../../../src/ports.ts";
import { demand, type OpenTable, openTable } from "../../support/circuit_table.ts";

const instance = { id: "11111111-2222-3333-4444-555555555555", label: "pod", boundMs: 1000 };
const another = { ...instance, id: "another" };

function flushOf(
  number: number,
  ...deferred: [key: string, successes: number, version?: number][]
): Flush {
  return {
    number,
    deferred: deferred.map(([key, successes, version = 0]): Deferred => ({
      key,
      successes,
      version,
    })),
  };
}

async function openWith(...keys: string[]): Promise<OpenTable> {
  const open = await openTable();
  await open.table.add(keys, demand());
  await open.table.register(instance, demand());
  await open.table.register(another, demand());
  return open;
}

async function countsOf({ sql }: OpenTable): Promise<Record<string, number>> {
  const rows = await sql`select key, success_count::int as count from stoma_circuit_breakers`;
  return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
}

Deno.test("a flush counts each success once, however often it is sent", async () => {
  await using open = await openWith("a", "b");
  const flush = flushOf(1, ["a", 3], ["b", 2]);
  const results = await Promise.all(
    [1, 2, 3, 4].map(() => open.table.flush(instance, flush, demand())),
  );
  assertEquals(results.filter((leftOver) => leftOver !== undefined), [[]]);
  assertEquals(await open.table.findFlush(instance, flush, demand()), {
    outcome: "done",
    leftOver: [],
  });
  assertEquals(await countsOf(open), { a: 3, b: 2 });
});

Deno.test("a flush leaves over circuits whose rows are locked or missing, and says so later too", async () => {
  await using open = await openWith("a", "b");
  const flush = flushOf(1, ["a", 3], ["b", 2], ["none", 1]);
  await open.sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers where key = 'a' for update`;
    assertEquals((await open.table.flush(instance, flush, demand()))?.toSorted(), ["a", "none"]);
  });
  const found = await open.table.findFlush(instance, flush, demand());
  assertEquals(found.outcome === "done" && found.leftOver.toSorted(), ["a", "none"]);
  assertEquals(await open.table.flush(instance, flushOf(2, ["a", 3]), demand()), []);
  assertEquals(await countsOf(open), { a: 3, b: 2 });
});

Deno.test("one flush runs at a time for the whole table, and others wait for none", async () => {
  await using open = await openWith("a");
  await open.sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers_instances where id = 'token' for update`;
    assertEquals(await open.table.flush(instance, flushOf(1, ["a", 1]), demand()), undefined);
    assertEquals(await open.table.findFlush(instance, flushOf(1), demand()), { outcome: "busy" });
  });
  await open.sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers_instances where id = ${instance.id} for update`;
    assertEquals(await open.table.flush(instance, flushOf(1, ["a", 1]), demand()), undefined);
    assertEquals(await open.table.flush(another, flushOf(1, ["a", 5]), demand()), []);
  });
  assertEquals(await open.table.flush(instance, flushOf(1, ["a", 1]), demand()), []);
  assertEquals(await countsOf(open), { a: 6 });
});

Deno.test("a flush whose answer was lost is found done once it has committed, and not before", async () => {
  await using open = await openWith("a");
  const flush = flushOf(1, ["a", 4]);
  await open.sql.begin(async (slow) => {
    await slow`update stoma_circuit_breakers_instances set flush = 1, left_over = '{}' where id = ${instance.id}`;
    assertEquals(await open.table.findFlush(instance, flush, demand()), { outcome: "busy" });
    assertEquals(await open.table.flush(instance, flush, demand()), undefined);
  });
  assertEquals(await open.table.findFlush(instance, flush, demand()), {
    outcome: "done",
    leftOver: [],
  });
  assertEquals(await countsOf(open), { a: 0 });
});

Deno.test("a flush of an instance without a row counts nothing", async () => {
  await using open = await openWith("a");
  await open.sql`delete from stoma_circuit_breakers_instances where id = ${instance.id}`;
  const flush = flushOf(1, ["a", 1]);
  assertEquals(await open.table.flush(instance, flush, demand()), undefined);
  assertEquals(await open.table.findFlush(instance, flush, demand()), {
    outcome: "unknown instance",
  });
  assertEquals(await countsOf(open), { a: 0 });
});

Deno.test("successes from before their circuit was zeroed do not count, those after it do (E3)", async () => {
  await using open = await openWith("a", "b");
  const { table } = open;
  const version = async () => (await table.read(["a"], demand()))[0]!.version;
  const before = await version();
  await table.transition(["a"], "open", demand());
  const opened = await version();
  await table.transition(["a"], "closed", demand());
  const closed = await version();
  // Opening, forcing and releasing zero nothing.
  const force = { forMs: undefined, reason: undefined, actor: undefined };
  await table.force("a", { ...force, state: "open" }, demand());
  await table.force("a", { ...force, state: undefined }, demand());
  const released = await version();
  for (const [i, version] of [before, opened, closed, released].entries()) {
    const flush = flushOf(i + 1, ["a", 10 ** i, version], ["b", 1]);
    assertEquals(await table.flush(instance, flush, demand()), []);
  }
  assertEquals(await countsOf(open), { a: 1100, b: 4 });
});

Deno.test("countDeferred waits for its rows, and returns those that there are", async () => {
  await using open = await openWith("a", "b");
  let counting: Promise<string[]> | undefined;
  await open.sql.begin(async (held) => {
    await held`select from stoma_circuit_breakers where key = 'b' for update`;
    counting = open.table.countDeferred(
      flushOf(1, ["a", 1], ["b", 2], ["none", 3]).deferred,
      demand(),
    );
    await held`select pg_sleep(0.05)`;
  });
  assertEquals((await counting!).toSorted(), ["a", "b"]);
  assertEquals(await countsOf(open), { a: 1, b: 2 });
});

Deno.test("registering makes the token where it is missing, and renews the instance", async () => {
  await using open = await openWith();
  await open.sql`delete from stoma_circuit_breakers_instances`;
  await open.table.register(instance, demand());
  await open.table.register({ ...instance, boundMs: 5000 }, demand());
  const rows = await open.sql`
    select id, label, bound_ms::int, seen_at > 0 as was_seen
    from stoma_circuit_breakers_instances order by id`;
  assertEquals([...rows], [
    { id: instance.id, label: "pod", bound_ms: 5000, was_seen: true },
    { id: "token", label: "", bound_ms: 0, was_seen: false },
  ]);
});

Deno.test("flushes count exactly beside statements that write the same rows meanwhile", async () => {
  const keys = Array.from({ length: 400 }, (_, index) => `circuit ${index}`);
  await using open = await openWith(...keys);
  const { table } = open;
  const beside = open.another();
  let isFlushing = true;
  let failures = 0;
  const write = async () => {
    for (let from = 0; isFlushing; from = (from + 40) % keys.length) {
      const tallies = keys.slice(from, from + 40).toReversed()
        .map((key) => ({ key, successes: 0, failures: 1 }));
      await beside.record(tallies, demand());
      failures += tallies.length;
    }
  };
  const writing = Promise.all([write(), write()]);
  let number = 0;
  let leftOvers = 0;
  let rounds = 0;
  // On a busy machine, no statement may be under way in any of the first rounds.
  for (; rounds < 40 || leftOvers === 0; rounds++) {
    assert(rounds < 4000, "no flush met a row that was being written");
    for (let waiting: readonly string[] = keys; waiting.length > 0;) {
      const flush = flushOf(++number, ...waiting.map((key): [string, number] => [key, 3]));
      waiting = (await table.flush(instance, flush, demand()))!;
      leftOvers += waiting.length;
    }
  }
  isFlushing = false;
  await writing;
  assertEquals(new Set(Object.values(await countsOf(open))), new Set([3 * rounds]));
  const [sum] = await open.sql`select sum(failure_count)::int as sum from stoma_circuit_breakers`;
  assertEquals(sum!.sum, failures);
});
