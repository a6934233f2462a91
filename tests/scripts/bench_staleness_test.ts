import { assert, assertEquals } from "@std/assert";
import { measurePropagation } from "../../scripts/bench/stale_propagation.ts";
import { type FleetCost, measureFleets } from "../../scripts/bench/stale_scale.ts";
import { countStatements } from "../../scripts/bench/stale_statements.ts";
import { Stage } from "../../scripts/bench/stage.ts";

Deno.test("countStatements counts what a busy instance costs its database", async () => {
  await using stage = await Stage.open();
  const window = { maxStalenessMs: 200, intervals: 5 };
  for (const load of [{ kind: "gateway", circuits: 10 }, { kind: "denied" }] as const) {
    const { figures, verdicts } = await countStatements(stage, load, window);
    assert(figures.intervals as number >= 5);
    assert(figures.rate as number > 1000);
    // A slow answer lets the next refresh begin early, after half of the bound at the earliest.
    const client = figures.client as number;
    assert(client > 0.5 && client < 2.5, `${client} statements`);
    assertEquals(verdicts[0]!.required, "at most 1.20 per 200 ms");
  }
});

Deno.test("measurePropagation sees every transition in every other process", async () => {
  await using stage = await Stage.open();
  const how = { listens: false, maxStalenessMs: 200, processes: 2, transitions: 3, changing: 5 };
  const { figures, verdicts } = await measurePropagation(stage, how);
  const { p50, max } = figures.seen as { p50: number; max: number };
  assertEquals([figures.sights, figures.failures], [6, 0]);
  assert(figures.changesPerSecond as number > 2, `${figures.changesPerSecond} changes per second`);
  assert(p50 > 0 && p50 <= max, `${p50} ms, ${max} ms`);
  assertEquals(verdicts.map(({ required, ok }) => [required, ok]), [["at most 200 ms", true]]);
});

Deno.test("measureFleets measures a fleet of each size, unless it cannot connect", async () => {
  await using stage = await Stage.open();
  const { figures, lines } = await measureFleets(stage, {
    sizes: [1, 3, 1000],
    processes: 2,
    circuits: 20,
    maxStalenessMs: 200,
    records: true,
    intervals: 5,
  });
  const costs = figures.costs as FleetCost[];
  assertEquals(costs.map(({ instances, failures }) => [instances, failures]), [[1, 0], [3, 0]]);
  for (const { perInterval, uses } of costs) {
    assert(perInterval > 0.5 && perInterval < 2.5, `${perInterval} statements`);
    assert(uses > 0.5, `used ${uses} times`);
  }
  assert(lines.some((line) => line.startsWith("1000 instances are left out: ")));
  assert(lines.at(-1)!.startsWith("from 1 to 3 instances (3.0x): "));
});
