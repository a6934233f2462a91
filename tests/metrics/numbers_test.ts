/** That the numbers of metrics are those of the log, of the table and of the callers, also after faults. */

import { assert, assertEquals } from "@std/assert";
import { Registry } from "prom-client";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { collect } from "../../src/metrics/prometheus.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { samplesOf } from "./samples.ts";

const KEYS = ["a", "b", "c"];

/** Whether a statement counts refusals: what a lost one took is dropped, as its docs say. */
const countsRefusals = (text: string) => text.includes("refused_count + call.refused");

/** A client that refuses some statements before they are sent, as where a server is restarted. */
class FailingClient implements PostgresClient {
  isFailing = false;
  readonly #client: PostgresClient;

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  query(text: string, params?: unknown[]) {
    if (this.isFailing && !countsRefusals(text)) {
      const error = new Error("connect ECONNREFUSED");
      return Promise.reject(Object.assign(error, { code: "ECONNREFUSED" }));
    }
    return this.#client.query(text, params);
  }
}

/** What callers of the stores saw. */
class Seen {
  readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** One gateway with its own process-wide registry. */
function gateway(client: PostgresClient, options: PostgresCircuitBreakerStoreOptions) {
  const store = new PostgresCircuitBreakerStore(client, options);
  const registry = new Registry();
  collect(store, registry);
  return { store, registry };
}

type Gateway = ReturnType<typeof gateway>;

/** The sums over all gateways of a metric, by its labels. */
async function sumsOf(gateways: readonly Gateway[], metric: string): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const { registry } of gateways) {
    for (const [name, value] of await samplesOf(registry)) {
      if (!name.startsWith(`circuit_breaker_${metric}{`) || value === 0) continue;
      const labels = [...name.matchAll(/="([^"]*)"/g)].map(([, label]) => label).join(" ");
      sums.set(labels, (sums.get(labels) ?? 0) + value);
    }
  }
  return new Map([...sums].toSorted());
}

async function step({ store }: Gateway, seen: Seen, key: string, choice: number): Promise<void> {
  if (choice < 0.5) {
    const { state } = await store.getState(key);
    seen.add(`${state === "open" ? "refused" : "admitted"} ${key}`);
  } else if (choice < 0.7) {
    await store.recordSuccess(key);
    seen.add(`success ${key}`);
  } else if (choice < 0.85) {
    await store.recordFailure(key);
    seen.add(`failure ${key}`);
  } else if (choice < 0.9) {
    await store.transition(key, "open");
  } else if (choice < 0.95) {
    await store.transition(key, "closed");
  } else {
    await store.reset(key);
  }
}

Deno.test("metrics of a fleet equal the log, the counters and what callers saw, after faults", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  await migrate(driver.client);
  const client = new FailingClient(driver.client);
  const options = { resetTimeoutMs: 30, trip: "caller" as const, onError: () => {} };
  const gateways = [
    gateway(client, { ...options, instanceId: "consistent" }),
    gateway(client, { ...options, instanceId: "cached", maxStalenessMs: 40, countWithinMs: 200 }),
    gateway(client, { ...options, instanceId: "local", onOutage: "throw", maxStalenessMs: 40 }),
  ];
  const seen = new Seen();
  await gateways[0]!.store.forceOpen("stuck", { actor: "ops" });
  let failures = 0;
  for (let round = 0; round < 60; round++) {
    client.isFailing = round % 10 === 7;
    await Promise.all(gateways.map(async (each) => {
      for (const key of KEYS) {
        await step(each, seen, key, Math.random()).catch(() => failures++);
      }
      if (client.isFailing) return;
      // After an outage the store finds out by itself that the database is back.
      await each.store.recordSuccess("calm").then(() => seen.add("success calm"), () => failures++);
      const stuck = await each.store.getState("stuck").catch(() => undefined);
      if (stuck !== undefined) seen.add("refused stuck");
    }));
    if (round === 30) {
      // No statement is under way: each next one finds its connection gone.
      await driver.raw`select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and datname = current_database()`;
    }
  }
  client.isFailing = false;
  assert(failures > 0);
  await until(async () => {
    const samples = await Promise.all(gateways.map(({ registry }) => samplesOf(registry)));
    return samples.every((each) => each.get("circuit_breaker_store_outage") === 0);
  }, 10_000);
  for (const { store } of gateways) await store.close();

  const logged = await driver.raw`
    select concat_ws(' ', key, to_state, cause) as name, count(*)::int as count
    from stoma_circuit_breakers_timeline where from_state <> to_state group by 1 order by 1`;
  assertEquals(
    await sumsOf(gateways, "transitions_total"),
    new Map(logged.map(({ name, count }) => [name, count] as const).toSorted()),
  );
  const callers = (kind: string) =>
    new Map(
      [...seen.counts].filter(([name]) => name.startsWith(`${kind} `))
        .map(([name, count]) => [name.slice(kind.length + 1), count] as const).toSorted(),
    );
  for (const kind of ["admitted", "refused"]) {
    assertEquals(await sumsOf(gateways, `${kind}_total`), callers(kind), kind);
  }
  const results = await sumsOf(gateways, "results_total");
  for (const outcome of ["success", "failure"]) {
    const ofOutcome = [...results].filter(([name]) => name.endsWith(` ${outcome}`))
      .map(([name, count]) => [name.split(" ")[0]!, count] as const);
    assertEquals(new Map(ofOutcome), callers(outcome), outcome);
  }
  const [calm] = await driver.raw`
    select success_count::int as count from stoma_circuit_breakers where key = 'calm'`;
  assertEquals(calm!.count, seen.counts.get("success calm"));
  const [stuck] = await driver.raw`
    select refused_count::int as count from stoma_circuit_breakers_overview where key = 'stuck'`;
  assertEquals(stuck!.count, seen.counts.get("refused stuck"));
  const errors = await sumsOf(gateways, "store_errors_total");
  assert([...errors.keys()].some((name) => name.endsWith("StoreUnavailableError")));
  const calls = await sumsOf(gateways, "store_statement_calls_total");
  assert((calls.get("read") ?? 0) > 0 && (calls.get("record") ?? 0) > 0);
});
