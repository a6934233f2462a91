/** Three processes, two of them with clocks a minute off: probes go by the database's clock alone. */

import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../mod.ts";
import { type Answer, type Call, Worker } from "../concurrency_worker.ts";
import { oneTo } from "../conformance/session.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { verdictOf } from "../support/policy.ts";

const RESET = 30_000;
const LEASE = 40_000;
const BREAKER = { failureThreshold: 3, resetTimeoutMs: RESET, probeTimeoutMs: LEASE };
const SKEWS = [0, 60_000, -60_000];
/** What a slow machine may add to times that are compared. */
const SLACK_SECONDS = 10;
const TRIP: Call[] = [
  ["recordFailure", "api"],
  ["recordFailure", "api"],
  ["recordFailure", "api"],
  ["transition", "api", "open"],
];

/** Instances with the skews above, in order, and functions that change and read the row. */
async function openFleet(options = {}) {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client } = cleanup.use(await openPostgresJs(database.url, { max: 1 }));
  await migrate(client);
  const workers = await Promise.all(
    SKEWS.map(async (skew) => {
      const worker = cleanup.use(await Worker.start(database.url, { ...BREAKER, ...options }));
      await worker.run([], skew);
      return worker;
    }),
  );
  const kept = cleanup.move();
  return {
    workers,
    /** Lets time pass for the circuit: nothing waits. */
    async age(ms: number): Promise<void> {
      await client.query(`update stoma_circuit_breakers set
        last_state_change = last_state_change - ${ms}, probe_expires_at = probe_expires_at - ${ms},
        forced_at = forced_at - ${ms}, forced_until = forced_until - ${ms},
        recent_failures = array(select at - ${ms} from unnest(recent_failures) as failure (at))`);
    },
    async version(): Promise<number> {
      const { rows } = await client.query("select version::int from stoma_circuit_breakers");
      return rows[0]!.version as number;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The decisions of an instance's policy, by its own clock, which has moved on since the snapshot. */
function verdictsOf({ results, received, errors }: Answer) {
  assertEquals(errors, []);
  return results.map((snapshot) => verdictOf(snapshot, received, RESET));
}

/** Asserts that every instance refuses every request, for about this many seconds. */
async function assertAllRefuse(workers: Worker[], seconds: number): Promise<void> {
  const calls = oneTo(3).map((): Call => ["getState", "api"]);
  for (const answer of await Promise.all(workers.map((worker) => worker.run(calls)))) {
    for (const verdict of verdictsOf(answer)) {
      assert(verdict.kind === "refuse", verdict.kind);
      const { retryAfter } = verdict;
      assert(
        retryAfter >= 1 && retryAfter <= seconds && retryAfter >= seconds - SLACK_SECONDS,
        `Retry-After ${retryAfter} of about ${seconds}`,
      );
    }
  }
}

/** Requests to all instances at once; returns the only one that was admitted a probe. */
async function findProber(workers: Worker[], leaseSeconds = LEASE / 1000): Promise<Worker> {
  const calls = oneTo(10).map((): Call => ["getState", "api"]);
  const answers = await Promise.all(workers.map((worker) => worker.run(calls)));
  const probers = workers.flatMap((worker, index) =>
    verdictsOf(answers[index]!).flatMap((verdict) => {
      if (verdict.kind === "probe") return [worker];
      assert(verdict.kind === "refuse", verdict.kind);
      assert(
        verdict.retryAfter >= 1 && verdict.retryAfter <= leaseSeconds,
        `${verdict.retryAfter}`,
      );
      return [];
    })
  );
  assertEquals(probers.length, 1);
  return probers[0]!;
}

for (const [index, skew] of SKEWS.entries()) {
  Deno.test(`a circuit opened by an instance ${skew} ms off is closed by one probe`, async () => {
    await using fleet = await openFleet();
    const { workers } = fleet;
    await workers[index]!.run(TRIP);
    await assertAllRefuse(workers, RESET / 1000);
    await fleet.age(RESET - 12_000);
    await assertAllRefuse(workers, 12);
    await fleet.age(12_000);
    const prober = await findProber(workers);
    await assertAllRefuse(workers, LEASE / 1000);
    await prober.run([["transition", "api", "closed"]]);
    for (const worker of workers) {
      const kinds = verdictsOf(await worker.run([["getState", "api"]])).map((each) => each.kind);
      assertEquals(kinds, ["pass"]);
    }
    assertEquals(await fleet.version(), 3);
  });

  Deno.test(`the late result of a probe ${skew} ms off changes nothing`, async () => {
    await using fleet = await openFleet();
    const { workers } = fleet;
    const late = workers[index]!;
    const others = workers.filter((worker) => worker !== late);
    await late.run(TRIP);
    await fleet.age(RESET);
    assertEquals(await findProber([late]), late);
    await fleet.age(LEASE);
    const successor = await findProber(others);
    await late.run([["transition", "api", "closed"]]);
    await assertAllRefuse(workers, LEASE / 1000);
    assertEquals(await fleet.version(), 3);
    await successor.run([["transition", "api", "open"]]);
    await assertAllRefuse(workers, RESET / 1000);
    assertEquals(await fleet.version(), 4);
  });
}

Deno.test("a prober whose clock steps a minute back and forth reports in time", async () => {
  await using fleet = await openFleet();
  const [prober] = fleet.workers;
  for (const [step, skew] of [60_000, -60_000, 0].entries()) {
    await prober!.run(TRIP);
    await fleet.age(RESET);
    await findProber([prober!]);
    await prober!.run([], skew);
    await assertAllRefuse(fleet.workers, LEASE / 1000);
    await prober!.run([["transition", "api", "closed"]]);
    assertEquals(await fleet.version(), 3 * (step + 1));
  }
});

Deno.test("a window and a force are the same for instances a minute off", async () => {
  await using fleet = await openFleet({ trip: "caller", failureWindowMs: 30_000 });
  const { workers } = fleet;
  for (const worker of workers) await worker.run([["recordFailure", "api"]]);
  for (const worker of workers) {
    const { results } = await worker.run([["getState", "api"], ["peek", "api"]]);
    assertEquals(results.map((each) => each.failureCount), [3, 3]);
  }
  await fleet.age(30_000);
  for (const worker of workers) {
    const { results } = await worker.run([["getState", "api"], ["peek", "api"]]);
    assertEquals(results.map((each) => each.failureCount), [0, 0]);
  }
  await workers[1]!.run([["forceOpen", "api", { forMs: 100_000 }]]);
  await assertAllRefuse(workers, 100);
  await fleet.age(100_000);
  for (const worker of workers) {
    const { results } = await worker.run([["getState", "api"]]);
    assertEquals(results.map((each) => each.state), ["closed"]);
  }
});
