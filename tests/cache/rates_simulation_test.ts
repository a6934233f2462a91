/**
 * A rate of the whole fleet opens no circuit falsely, although its instances count successes later than
 * failures, and opens it in time.
 *
 * `RUNS=40 deno task test tests/cache/rates_simulation_test.ts` simulates large fleets, 40 times each, which
 * takes an hour on two cores. A failure prints its seed: `SEED=...` begins with it.
 */

import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { type Outcome, type Scene, simulate } from "./rates_simulation.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 0);
const SEED = Number(Deno.env.get("SEED") ?? Date.now() % 1_000_000);

type Fleet = Pick<Scene, "instances" | "callsPerSecond">;

/** Some fleets, and the share of their calls that fails while the gateway is well. */
const WELL: readonly (Fleet & { errors: number })[] = RUNS > 0
  ? [
    { instances: 1000, callsPerSecond: 20, errors: 0.05 },
    { instances: 100, callsPerSecond: 50, errors: 0.1 },
  ]
  : [
    // Large enough that a rate seems to be due: 20 calls fail before each instance has called once.
    { instances: 200, callsPerSecond: 5, errors: 0.3 },
    { instances: 20, callsPerSecond: 50, errors: 0.1 },
  ];

const BEGINNING = { ...WELL[0]!, bounds: 0.5 };

Deno.test("a circuit that just closed stays closed while few calls fail", async () => {
  const outcomes = await simulateAll(WELL.map((fleet) => ({ ...fleet, bounds: 4 })));
  for (const { scene, outcome } of outcomes) {
    assertEquals(outcome.openAfter, undefined, `opened falsely: ${show(scene, outcome)}`);
    assert(outcome.lastCallAfter > 3.5, `not watched to the end: ${show(scene, outcome)}`);
  }
  // Otherwise nothing was proved: without suspicion it opens, as the next test shows.
  const largest = outcomes.filter(({ scene }) => scene.instances === WELL[0]!.instances);
  assert(
    largest.some(({ outcome }) => outcome.suspectAfter !== undefined),
    `no rate seemed to be due, from seed ${SEED}`,
  );
});

Deno.test("the same circuit opens falsely where no instance shows its bound", async () => {
  const [result] = await simulateAll([{ ...BEGINNING, shownBoundMs: 0 }], 1);
  const { scene, outcome } = result!;
  assert(outcome.openAfter !== undefined, `stays closed: ${show(scene, outcome)}`);
});

Deno.test("the same circuit opens falsely where no instance counts successes sooner", async () => {
  const [result] = await simulateAll([{ ...BEGINNING, bounds: 2.5, isRateKnown: false }], 1);
  const { scene, outcome } = result!;
  assert(outcome.openAfter !== undefined, `stays closed: ${show(scene, outcome)}`);
});

Deno.test("a circuit opens within three bounds when most calls fail", async () => {
  const scenes = WELL.map((fleet) => ({ ...fleet, errors: 0.8, bounds: 3.5 })).reverse();
  const outcomes = await simulateAll(RUNS > 0 ? scenes : scenes.slice(0, 1));
  for (const { scene, outcome } of outcomes) {
    const { openAfter = Infinity, lastCallAfter } = outcome;
    assert(openAfter < 3, `opened late: ${show(scene, outcome)}`);
    // Every instance knows it a bound later. An answer can be under way for as long as a statement is.
    assert(lastCallAfter <= openAfter + 1.02, `called too long: ${show(scene, outcome)}`);
  }
});

interface Result {
  scene: Scene;
  outcome: Outcome;
}

async function simulateAll(
  scenes: readonly Omit<Scene, "seed">[],
  runs = Math.max(RUNS, 1),
): Promise<Result[]> {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  const results: Result[] = [];
  for (const each of scenes) {
    for (let run = 0; run < runs; run++) {
      const scene = { ...each, seed: SEED + run };
      const outcome = await simulate(driver.client, scene);
      if (RUNS > 0) console.log(show(scene, outcome));
      results.push({ scene, outcome });
    }
  }
  return results;
}

function show(scene: Scene, outcome: Outcome): string {
  return JSON.stringify({ ...scene, ...outcome });
}
