import { assert, assertEquals, assertMatch } from "@std/assert";
import { captureRecord, captureRefresh, captureWatch } from "../../scripts/bench/capture.ts";
import { ownCpuSecondsOf } from "../../scripts/bench/cpu.ts";
import { measureFleet } from "../../scripts/bench/fleet.ts";
import { replay } from "../../scripts/bench/replay.ts";
import { Stage } from "../../scripts/bench/stage.ts";
import { familyOf } from "../../scripts/bench/statement_family.ts";
import { until } from "../support/until.ts";

Deno.test("measureFleet measures stores that share processes and connections", async () => {
  await using stage = await Stage.open();
  const cost = await measureFleet(stage, {
    instances: 6,
    circuits: 40,
    processes: 2,
    connections: 2,
    options: { maxStalenessMs: 500, countWithinMs: 1000 },
    roundMs: 1000,
    records: true,
    warmUpMs: 2000,
    measuredMs: 4000,
  });
  assertEquals([cost.outages, cost.failures, cost.errors], [0, 0, 0]);
  assert(cost.uses > 0.5 && cost.uses < 1.5, `each circuit used ${cost.uses} times per round`);
  assert(cost.perInterval > 0.5 && cost.perInterval < 5, `${cost.perInterval} statements`);
  assert(cost.families.tail!.rate > 0 && cost.families.flush!.rate > 0);
  assert(cost.families.tail!.p99 > 0 && cost.tableBytes > 0 && cost.walBytes > 0);
});

Deno.test("replay sends what a store really sent", async () => {
  await using stage = await Stage.open();
  await using database = await stage.createDatabase();
  await database.fill(100);
  await database.fillLog(1000, 100);
  const { url } = database;
  const refresh = await captureRefresh(database, 10);
  assertEquals(familyOf(refresh.text), "tail");
  const watch = await captureWatch(database);
  assertMatch(watch.text, /_changes"/);
  const record = await captureRecord(database, "recordSuccess", 64);
  const bare = { text: "select 1", params: [] };
  const costs = await replay(
    stage,
    Object.entries({ bare, refresh, watch, record }).map(([label, sent]) => ({
      ...sent,
      label,
      url,
    })),
    { rounds: 3, perRound: 50 },
  );
  assertEquals(costs.map(({ label }) => label), ["bare", "refresh", "watch", "record"]);
  for (const { cpu, ms, label } of costs) {
    assertEquals(cpu.length, 3);
    assert(ms > 0, `${label}: ${ms} ms`);
    // The server of the tests is not the benchmark's own: its processes are not looked at.
    assertEquals(cpu.map(Number.isNaN), [true, true, true]);
  }
});

Deno.test("ownCpuSecondsOf sees the CPU time that a process takes", async () => {
  await using child = new Deno.Command("sh", { args: ["-c", "while :; do :; done"] }).spawn();
  if (await ownCpuSecondsOf(child.pid) === undefined) return; // this system has no such files
  await until(async () => (await ownCpuSecondsOf(child.pid))! > 0.02, 20_000);
  assert((await ownCpuSecondsOf(child.pid))! < 20);
});
