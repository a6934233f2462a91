/**
 * The rules as whole statements: the same calls at the same times, on circuits in memory and on
 * circuits in a table, answer the same.
 *
 * A failure prints the seed and the shortest history that was found. `SEED=... deno task test
 * tests/rules/memory_and_table_test.ts` repeats it, and `RUNS=5000` tries more histories.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type CircuitBreakerSnapshot,
  type CircuitListing,
  InMemoryCircuitBreakerStore,
  migrate,
  type Permit,
  type PermitOutcome,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { emptyTableSql } from "../conformance/emptied_tables.ts";
import type { ConformanceStore } from "../conformance/session.ts";
import { compareKeys } from "../../src/key.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { type Call, histories, type History } from "./generated_histories.ts";

const SEED = Deno.env.get("SEED");
const RUNS = Number(Deno.env.get("RUNS") ?? 300);

Deno.test("the same calls answer the same from memory and from the table", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  const met = { probes: 0, results: 0, permitted: 0, forced: 0, pruned: 0, trips: 0 };

  async function live({ options, steps }: History): Promise<void> {
    await driver.client.query(emptyTableSql("stoma_circuit_breakers"));
    const clock = { at: 1_000_000 };
    const all = { ...options, instanceId: "instance", now: () => clock.at };
    await using memory = new InMemoryCircuitBreakerStore(all);
    await using table = new PostgresCircuitBreakerStore(driver.client, undefined, all);
    const [inMemory, inTable] = [new Run(memory), new Run(table)];
    const probed = new Set<unknown>();
    for (const [place, { waitMs, calls }] of steps.entries()) {
      clock.at += waitMs;
      const expected = await Promise.all(calls.map((call) => inMemory.run(call)));
      const answers = await Promise.all(calls.map((call) => inTable.run(call)));
      const methods = calls.map(({ method }) => method).join();
      assertEquals(answers, expected, `step ${place + 1} at ${clock.at}: ${methods}`);
      calls.forEach((call, place) => note(call, answers[place], probed));
    }
    assertEquals(await listOf(table), await listOf(memory), "what is listed at the end");
    assertEquals(await historyOf(table), await historyOf(memory), "the history at the end");
  }

  /** Counts what some history has to reach. */
  function note({ method, args: [key, to] }: Call, answer: unknown, probed: Set<unknown>): void {
    if (method === "getState" && (answer as CircuitBreakerSnapshot).state === "half-open") {
      met.probes++;
      probed.add(key);
    }
    if (method === "acquire" && (answer as Permit).isProbe) met.permitted++;
    const { state, failureCount } = (answer ?? {}) as CircuitBreakerSnapshot;
    if (method.startsWith("record") && state === "open" && failureCount > 0) met.trips++;
    if (method === "transition" && to !== "half-open" && probed.delete(key)) met.results++;
    if (method === "list" && (answer as CircuitListing[]).some(({ forced }) => forced)) {
      met.forced++;
    }
    if (method === "prune" && answer !== 0) met.pruned++;
  }

  await fc.assert(fc.asyncProperty(histories, live), {
    numRuns: RUNS,
    ...SEED !== undefined && { seed: Number(SEED) },
  });
  for (const [what, times] of Object.entries(met)) assert(times > 0, `no history had ${what}`);
});

/**
 * Which of several circuits changes first in one statement, and so gets the lower version, is left open. The
 * table has refusals later than memory.
 */
async function listOf(store: ConformanceStore): Promise<unknown[]> {
  return comparable(await store.list());
}

function comparable(listed: readonly CircuitListing[]): unknown[] {
  return withoutVersions(listed.map(({ refusedCount: _, ...rest }) => rest));
}

/** All changes, by circuit. Cursors and roles are a store's own. */
async function historyOf(store: ConformanceStore): Promise<unknown[]> {
  const changes = await store.history({ limit: 10_000, rounds: true });
  const byKey = changes.toSorted((a, b) => compareKeys(a.key, b.key) || a.version - b.version);
  return withoutVersions(byKey.map(({ cursor: _, role: __, ...rest }) => rest));
}

function withoutVersions(rows: readonly { version: number }[]): unknown[] {
  return rows.map(({ version: _, ...rest }) => rest);
}

/** The calls of a history on one of the stores. */
class Run {
  readonly #store: ConformanceStore;
  readonly #permits: Permit[] = [];

  constructor(store: ConformanceStore) {
    this.#store = store;
  }

  async run({ method, args }: Call): Promise<unknown> {
    if (method === "acquire") {
      const permit = await this.#store.acquire(args[0] as string);
      if (permit.allowed) this.#permits.push(permit);
      const { allowed, state, isProbe, retryAfterMs } = permit;
      return { allowed, state, isProbe, retryAfterMs };
    }
    if (method === "report") {
      return await this.#permits.shift()?.report(args[0] as PermitOutcome);
    }
    const call = this.#store[method] as (...args: readonly unknown[]) => Promise<unknown>;
    const answer = await call.apply(this.#store, [...args]);
    return method === "list" ? comparable(answer as CircuitListing[]) : answer;
  }
}
