/**
 * Random operations, clock steps and crashes on several instances, against a model. Many circuits live
 * side by side, one step at a time, so that their calls share statements. In every fifth group of them
 * instances race for probes. Such a group may need several runs to fail again.
 *
 * `RUNS=20000 deno task test tests/rules/probing_model_test.ts` runs longer. A failure prints its seed:
 * `SEED=... deno task test tests/rules/probing_model_test.ts` repeats it.
 */

import { assert, assertEquals } from "@std/assert";
import {
  InMemoryCircuitBreakerStore,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "../../mod.ts";
import { emptyTableSql } from "../conformance/emptied_tables.ts";
import type { ConformanceStore, StoreOptions } from "../conformance/session.ts";
import { assertInvariants, type Step, type TableRow } from "./probing_invariants.ts";
import { BLANK_ROW, type Model, type ModelRules } from "./probing_model.ts";
import { Run } from "./probing_run.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { randomOf } from "../support/random.ts";

const SEED = Deno.env.get("SEED");
const RUNS = Number(Deno.env.get("RUNS") ?? 2000);
const RUNS_AT_ONCE = 100;
const STEPS = 30;

/** Where circuits live: what opens an instance, and what shows the rows. */
interface World {
  instances: number;
  open(options: StoreOptions): ConformanceStore;
  clear(): Promise<void>;
  /** The rows by key; `undefined` where there is no looking at them. */
  rows(): Promise<Map<string, TableRow> | undefined>;
}

Deno.test("circuits on several instances do what the model says", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 6 });
  await migrate(driver.client);
  // Refusals are counted in the background, at any time, and hold rows for a moment. Here they are not.
  const quiet: PostgresClient = {
    query: (text, params) =>
      text.includes("set refused_count")
        ? Promise.resolve({ rows: [{ left_over: "[]" }] })
        : driver.client.query(text, params),
  };
  await live({
    instances: 3,
    open: (options) => new PostgresCircuitBreakerStore(quiet, undefined, options),
    clear: async () => void await driver.client.query(emptyTableSql("stoma_circuit_breakers")),
    async rows() {
      const { rows } = await driver.client.query(`select *, xmin::text || ctid::text as written
        from stoma_circuit_breakers`);
      return new Map(rows.map((row) => [row.key as string, toTableRow(row)]));
    },
  });
});

Deno.test("circuits in memory do what the model says", async () => {
  await live({
    instances: 1,
    open: (options) => new InMemoryCircuitBreakerStore(options),
    clear: () => Promise.resolve(),
    rows: () => Promise.resolve(undefined),
  });
});

async function live(world: World): Promise<void> {
  if (SEED !== undefined) return await liveOnce(world, Number(SEED));
  const first = crypto.getRandomValues(new Uint32Array(1))[0]!;
  for (let runs = 0; runs < RUNS; runs += RUNS_AT_ONCE) {
    await liveOnce(world, (first + runs) >>> 0);
  }
}

async function liveOnce(world: World, seed: number): Promise<void> {
  const random = randomOf(seed);
  const rules = rulesOf(random);
  const races = random() < 0.2;
  const clock = { at: 1_000_000 };
  const open = () => world.open({ ...rules, now: () => clock.at });
  const stores = Array.from({ length: world.instances }, open);
  const runs = new Map(Array.from({ length: RUNS_AT_ONCE }, (_, index) => {
    const key = `circuit ${index}`;
    return [key, new Run(key, rules, randomOf(seed + index), stores, races)];
  }));
  await world.clear();
  let before = await world.rows();
  let doing = "start";
  try {
    for (let step = 1; step <= STEPS; step++) {
      clock.at = nextTime(random, clock.at, rules, [...runs.values()]);
      if (world.instances > 1 && random() < 0.1) {
        const crashed = Math.floor(random() * world.instances);
        stores[crashed] = open();
        for (const run of runs.values()) run.model.crash(crashed);
      }
      doing = `step ${step} at ${clock.at}`;
      const done = await Promise.all(Array.from(runs, async ([key, run]) => {
        try {
          return [key, run, await run.step(clock.at)] as const;
        } catch (cause) {
          throw new Error(`"${key}" does not do as its model\n${run.history.join("\n")}`, {
            cause,
          });
        }
      }));
      const after = await world.rows();
      if (after === undefined) continue;
      for (const [key, { model }, what] of done) {
        doing = `step ${step} at ${clock.at}, "${what.name}" on "${key}":\n${
          runs.get(key)!.history.join("\n")
        }\n`;
        assertInvariants(before!.get(key), after.get(key), what, clock.at, rules);
        assertRow(after.get(key), model, what, rules);
      }
      before = after;
    }
  } catch (cause) {
    throw new Error(`SEED=${seed} failed, ${JSON.stringify(rules)}, ${doing}`, {
      cause,
    });
  }
}

function rulesOf(random: () => number): ModelRules {
  const one = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  return {
    resetTimeoutMs: one(700, 3000, 10_000),
    halfOpenMax: one(1, 1, 2, 3),
    probeTimeoutMs: one(500, 3000, 8000),
    failureThreshold: one(1, 3),
    failureWindowMs: one(undefined, 300, 5000),
    successThreshold: one(1, 1, 2, 4),
    resetBackoff: one(undefined, undefined, { factor: 2, maxMs: 30_000 }),
    trip: "caller",
  };
}

/** Mostly forward, often to the moment when something is due or its neighbours, sometimes back. */
function nextTime(random: () => number, now: number, rules: ModelRules, runs: Run[]): number {
  const upTo = (most: number) => 1 + Math.floor(random() * most);
  const chosen = random();
  if (chosen < 0.35) return now + upTo(50);
  if (chosen < 0.7) {
    const moment = runs[Math.floor(random() * runs.length)]!.boundary() + upTo(3) - 2;
    return moment > now ? moment : now + upTo(50);
  }
  if (chosen < 0.85) return now + upTo(rules.resetTimeoutMs);
  if (chosen < 0.9) return now + upTo(12 * rules.probeTimeoutMs);
  if (chosen < 0.98) return now - upTo(50);
  return now - upTo(2 * rules.resetTimeoutMs);
}

function assertRow(
  row: TableRow | undefined,
  { row: expected }: Model,
  step: Step,
  rules: ModelRules,
): void {
  if (expected === undefined && row === undefined) return;
  assert(row, `${step.name}: there is no row`);
  // A version never restarts: what it must do is an invariant, and no number of the model's.
  const { forcedUntil, written: _, version: __, ...actual } = row;
  const { force, recent: ___, tenths: ____, version: _____, ...same } = expected ?? BLANK_ROW;
  assertEquals(actual, same);
  assertEquals(forcedUntil, force?.until);
  assert(row.probes <= rules.halfOpenMax);
}

function toTableRow(row: Record<string, unknown>): TableRow {
  const forcedUntil = row.forced_until === null ? Infinity : Number(row.forced_until);
  return {
    state: row.state as TableRow["state"],
    version: Number(row.version),
    failures: Number(row.failure_count),
    successes: Number(row.success_count),
    lastFailure: Number(row.last_failure_time),
    lastChange: Number(row.last_state_change),
    probes: Number(row.probe_count),
    leaseEnd: Number(row.probe_expires_at),
    settled: Number(row.probe_settled),
    successesInRow: Number(row.probe_successes),
    openMs: Number(row.reset_ms),
    failedRounds: Number(row.failed_rounds),
    forcedUntil: row.forced_state === null ? undefined : forcedUntil,
    written: String(row.written),
  };
}
