/** That a rate which seems due makes a circuit suspect first, where instances with a cache live. */

import { assertEquals, assertGreater } from "@std/assert";
import type { Circuit } from "../../../src/circuit.ts";
import { demand, logOf, type OpenTable, openTable } from "../../support/circuit_table.ts";
import { rulesOf } from "../../support/rules.ts";

const BOUND = 1000;
const WINDOW = 10_000;
const RULES = rulesOf({
  failureRateThreshold: 0.5,
  minimumThroughput: 4,
  windowMs: WINDOW,
  failureThreshold: 50,
});

/** A table on a clock that moves by hand, and an instance with a cache. */
async function openWithCache(boundMs = BOUND) {
  const clock = { at: 1_000_000 };
  const open = await openTable({ rules: RULES, now: () => clock.at });
  const { table } = open;
  const instance = { id: "cached", label: "pod", boundMs };
  await table.register(instance, demand());
  const record = async (failures: number, successes = 0): Promise<Circuit> =>
    (await table.record([{ key: "a", failures, successes }], demand()))[0]!;
  return {
    ...open,
    clock,
    record,
    alive: () => table.register(instance, demand()),
    log: () => logOf(open.sql, "a"),
  };
}

type Opened = OpenTable & Awaited<ReturnType<typeof openWithCache>>;

async function assertSuspect({ record, log }: Opened, circuit: Circuit): Promise<void> {
  assertEquals([circuit.state, circuit.details.suspectAt], ["closed", circuit.readAt]);
  assertGreater(circuit.version, 0);
  const again = await record(1);
  assertEquals([again.state, again.version], ["closed", circuit.version]);
  assertEquals((await log()).at(-1), "closed -> closed by suspect");
}

Deno.test("a rate that is due makes the circuit suspect, and two bounds later opens it", async () => {
  await using open = await openWithCache();
  const { clock, record, log } = open;
  await record(1, 1);
  await assertSuspect(open, await record(3));
  clock.at += 2 * BOUND - 1;
  assertEquals((await record(1)).state, "closed");
  clock.at += 1;
  const opened = await record(1);
  assertEquals([opened.state, opened.details.suspectAt], ["open", 0]);
  assertEquals(await log(), ["closed -> closed by suspect", "closed -> open by trip"]);
});

Deno.test("a new circuit becomes suspect as well", async () => {
  await using open = await openWithCache();
  const circuit = await open.record(4);
  await assertSuspect(open, circuit);
});

Deno.test("successes that are counted meanwhile keep a suspect circuit closed", async () => {
  await using open = await openWithCache();
  const { clock, record, log } = open;
  await record(1, 1);
  await assertSuspect(open, await record(3));
  await record(0, 20);
  clock.at += 2 * BOUND;
  assertEquals((await record(1)).state, "closed");
  assertEquals(await log(), ["closed -> closed by suspect"]);
});

Deno.test("suspicion ends with its window, and begins anew", async () => {
  await using open = await openWithCache();
  const { clock, record, alive, log } = open;
  await record(1, 1);
  await assertSuspect(open, await record(3));
  clock.at += WINDOW + 1;
  await alive();
  await assertSuspect(open, await record(4));
  assertEquals((await log()).length, 2);
});

Deno.test("a bound above the window decides within half a window", async () => {
  await using open = await openWithCache(10 * WINDOW);
  const { clock, record } = open;
  await record(1, 1);
  await record(3);
  clock.at += WINDOW / 2;
  assertEquals((await record(1)).state, "open");
});

Deno.test("without a living instance that has a cache, a rate opens at once", async () => {
  for (const [boundMs, wait] of [[0, 0], [BOUND, 180_000]] as const) {
    await using open = await openWithCache(boundMs);
    const { clock, record, log } = open;
    clock.at += wait;
    await record(1, 1);
    assertEquals((await record(3)).state, "open");
    assertEquals(await log(), ["closed -> open by trip"]);
  }
});

Deno.test("a threshold of failures does not wait for what is counted later", async () => {
  await using open = await openWithCache();
  const { record } = open;
  await record(1, 1);
  await assertSuspect(open, await record(20));
  assertEquals((await record(30)).state, "open");
});

Deno.test("closing and resetting end suspicion, and a caller opens no suspect circuit", async () => {
  await using open = await openWithCache();
  const { clock, record, table } = open;
  await record(1, 1);
  await assertSuspect(open, await record(3));
  assertEquals((await table.transition(["a"], "open", demand()))[0]!.state, "closed");
  const [closed] = await table.transition(["a"], "closed", demand());
  assertEquals(closed!.details.suspectAt, 0);
  await assertSuspect(open, await record(4));
  const blank = await table.reset("a", { reason: undefined, actor: undefined }, demand());
  assertEquals(blank!.details.suspectAt, 0);
  await assertSuspect(open, await record(4));
  clock.at += 2 * BOUND;
  assertEquals((await table.transition(["a"], "open", demand()))[0]!.state, "open");
});

Deno.test("deferred successes count for a rate, with the slow ones among them", async () => {
  const rules = rulesOf({
    slowCallRateThreshold: 0.5,
    slowCallDurationMs: 10,
    minimumThroughput: 9,
  });
  await using open = await openTable({ rules, now: () => 1_000_000 });
  const { table } = open;
  const instance = { id: "cached", label: "pod", boundMs: 0 };
  await table.register(instance, demand());
  await table.add(["a"], demand());
  const deferred = [{ key: "a", successes: 5, slow: 3, version: 0 }];
  assertEquals(await table.flush(instance, { number: 1, deferred }, demand()), []);
  assertEquals(await table.countDeferred([{ key: "a", successes: 3, version: 0 }], demand()), [
    "a",
  ]);
  assertEquals((await table.read(["a"], demand()))[0]!.state, "closed");
  const [circuit] = await table.record(
    [{ key: "a", failures: 0, successes: 2, slow: 2 }],
    demand(),
  );
  assertEquals([circuit!.state, circuit!.successCount], ["open", 10]);
});
