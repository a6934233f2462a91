/**
 * Random histories of circuits, on the real statements and in memory, against a model of the fleet. On the
 * table, invariants hold besides, which know nothing of the model.
 *
 * `RUNS=5000 deno task test tests/fleet_model/` runs longer. A failure prints a seed of the options and one
 * of the history: `SEED=1,2 deno task test tests/fleet_model/` repeats that history alone.
 */

import { assert, assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore, migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { randomOf } from "../support/random.ts";
import { Chain } from "./chain.ts";
import type { ModelOptions } from "./circuit_model.ts";
import { FactReader } from "./facts.ts";
import { History, type HistoryOptions } from "./history.ts";
import { QuietClient } from "./quiet_client.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 320);
const SEED = Deno.env.get("SEED")?.split(",").map(Number);
/** How many histories have the same options, and go on side by side. */
const AT_ONCE = 40;
const STEPS = 30;
/** How many histories in memory there are to one on the table. */
const MORE_IN_MEMORY = 12;

/** What has to happen in the histories, and how often at least. */
const EXPECTED: Readonly<Record<string, number>> = {
  trip: 30,
  "opened by votes": 5,
  vote: 50,
  probe: 100,
  round: 50,
  manual: 20,
  force: 50,
  expiry: 20,
  reset: 20,
  "late result": 30,
};

/** Options that a seed repeats. Eight seeds in a row have all kinds of openings. */
function optionsOf(seed: number, isFleet: boolean): ModelOptions {
  const random = randomOf(seed);
  const one = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  const quorum = isFleet ? [undefined, 2, undefined, 3][seed % 4] : undefined;
  return {
    resetTimeoutMs: one(700, 3000, 10_000),
    probeTimeoutMs: one(500, 3000, 12_000),
    halfOpenMax: one(1, 2, 3),
    successThreshold: one(1, 1, 2, 3),
    failureThreshold: one(1, 2, 3),
    failureWindowMs: seed % 8 < 4 ? undefined : one(300, 5000),
    resetBackoff: one(undefined, { factor: 2, maxMs: 30_000 }),
    quorum,
    trip: seed % 4 === 0 ? "caller" : "store",
  };
}

/** Runs groups of histories with the same options. */
async function inGroups(
  runs: number,
  isFleet: boolean,
  run: (
    options: ModelOptions,
    histories: (open: HistoryOptions["open"], prefix: string) => History[],
  ) => Promise<void>,
): Promise<void> {
  const first = crypto.getRandomValues(new Uint32Array(1))[0]!;
  for (let i = 0; i < (SEED ? 1 : runs); i += AT_ONCE) {
    const seed = SEED?.[0] ?? (first + i / AT_ONCE) >>> 0;
    const options = optionsOf(seed, isFleet);
    const seeds = SEED ? [SEED[1]!] : Array.from({ length: AT_ONCE }, (_, j) => (seed + j) >>> 0);
    let histories: History[] = [];
    try {
      await run(
        options,
        (open, prefix) =>
          histories = seeds.map((each) =>
            new History({ key: prefix + each, seed: each, options, isFleet, open })
          ),
      );
    } catch (cause) {
      const failed = histories.find((history) => history.hasFailed);
      const repeat = `SEED=${seed},${failed?.seed} ${JSON.stringify(options)}`;
      throw new Error(`${repeat}\n${failed?.calls.notes.join("\n")}`, { cause });
    }
  }
}

Deno.test("fleets do what the model says, and the tables hold what must hold", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 4 });
  await migrate(driver.client);
  const client = new QuietClient(driver.client);
  const reader = new FactReader(driver.raw);
  const seen = new Map<string, number>();
  let groups = 0;
  await inGroups(RUNS, true, async (options, begin) => {
    const prefix = `group ${++groups} `;
    const histories = begin(
      (instanceId, now) =>
        new PostgresCircuitBreakerStore(client, { ...options, instanceId, now, timeoutMs: 20_000 }),
      prefix,
    );
    for (let i = 0; i < STEPS; i++) {
      const steps = await Promise.all(histories.map((history) => history.advance()));
      await client.quiet();
      const factsOf = await reader.read(prefix);
      for (const [at, history] of histories.entries()) {
        history.check(steps[at]!, factsOf(history.calls.key));
      }
    }
    await Promise.all(histories.map((history) => history.end()));
    await client.quiet();
    await reader.read(prefix);
    for (const { invariants } of histories) {
      for (const [what, times] of invariants.seen) seen.set(what, times + (seen.get(what) ?? 0));
    }
  });
  if (Deno.env.has("SHOW")) console.log(seen);
  if (SEED || RUNS < 320) return;
  for (const [what, least] of Object.entries(EXPECTED)) {
    const times = seen.get(what) ?? 0;
    assert(times >= least, `only ${times} times: ${what}`);
  }
});

Deno.test("circuits in memory do what the model says, and their log is a chain", async () => {
  await inGroups(RUNS * MORE_IN_MEMORY, false, async (options, begin) => {
    const stores: InMemoryCircuitBreakerStore[] = [];
    const histories = begin((instanceId, now) => {
      const store = new InMemoryCircuitBreakerStore({ ...options, instanceId, now });
      stores.push(store);
      return store;
    }, "");
    for (const [i, history] of histories.entries()) {
      const { calls } = history;
      for (let step = 0; step < STEPS; step++) {
        const { isRace } = await history.advance();
        // It is left open which successes of a race came before one of them closed the circuit.
        if (isRace) {
          calls.model.circuit.notice(calls.now);
          calls.model.circuit.successes = (await stores[i]!.peek(calls.key)).successCount;
        }
      }
      const chain = new Chain();
      for (const change of await stores[i]!.history({ rounds: true, limit: 1000 })) {
        chain.add(change);
      }
      assertEquals(chain.own, calls.model.circuit.state, calls.notes.join("\n"));
    }
  });
});
