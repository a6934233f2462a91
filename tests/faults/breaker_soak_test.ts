import { assert, assertEquals } from "@std/assert";
import {
  CircuitBreaker,
  isCallTimeoutError,
  isCircuitOpenError,
  migrate,
  type OutageChange,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { heapInUse } from "../support/heap.ts";
import { randomOf } from "../support/random.ts";
import { until } from "../support/until.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const SECONDS = Number(Deno.env.get("SOAK_SECONDS") || "15");
const SEED = Number(Deno.env.get("SOAK_SEED") || Date.now() % 1_000_000);

/** How much more than after the first third of the time the process may hold at the end. */
const HEAP_GROWTH_BYTES = 6e6;

/** What calls came to, by what their callers saw. */
interface Counts {
  returned: number;
  failed: number;
  late: number;
  aborted: number;
  refused: number;
}

// The runner fails the test where a timer, a socket or a promise is left.
Deno.test(`breakers go on through faults of upstream and database, ${SECONDS} s (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  await using database = await createDatabase();
  await using proxy = TcpProxy.start(database.url);
  await using direct = await openPostgresJs(database.url, { max: 2 });
  await using driver = await openPostgresJs(proxy.urlOf(database.url), { max: 4 });
  await migrate(direct.client);
  let isOut = false;
  const store = new PostgresCircuitBreakerStore(driver.client, {
    failureRateThreshold: 0.5,
    minimumThroughput: 10,
    resetTimeoutMs: 100,
    probeTimeoutMs: 1000,
    maxStalenessMs: 200,
    timeoutMs: 300,
    onOutage: "local",
    onOutageChange: (change: OutageChange) => isOut = change.isOut,
  });
  const reports = { success: 0, failure: 0, ignored: 0, timeout: 0, reject: 0 };
  const breaker = new CircuitBreaker(store, {
    callTimeoutMs: 50,
    onSuccess: () => reports.success++,
    onFailure: () => reports.failure++,
    onIgnored: () => reports.ignored++,
    onTimeout: () => reports.timeout++,
    onReject: () => reports.reject++,
  });
  const counts: Counts = { returned: 0, failed: 0, late: 0, aborted: 0, refused: 0 };
  const upstream = { badness: 0 };
  const end = performance.now() + SECONDS * 1000;
  let [made, underway, most] = [0, 0, 0];

  /** The upstream answers, fails, or hangs until it is stopped. */
  const answer = ({ signal }: { signal: AbortSignal }) =>
    new Promise<string>((resolve, reject) => {
      most = Math.max(most, ++underway);
      const fate = random();
      const isHanging = fate < upstream.badness * 0.2;
      const timer = setTimeout(() => {
        underway--;
        if (fate < upstream.badness) reject(new Error("down"));
        else resolve("up");
      }, isHanging ? 200 : 3 * random());
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        underway--;
        reject(signal.reason);
      }, { once: true });
    });

  const caller = async () => {
    while (performance.now() < end) {
      made++;
      const controller = new AbortController();
      const isImpatient = random() < 0.02;
      const timer = isImpatient
        ? setTimeout(() => controller.abort("gone"), 5 * random())
        : undefined;
      const options = isImpatient ? { signal: controller.signal } : undefined;
      try {
        await breaker.execute(`upstream ${Math.floor(random() * 3)}`, answer, options);
        counts.returned++;
      } catch (error) {
        if (isCircuitOpenError(error)) counts.refused++;
        else if (isCallTimeoutError(error)) counts.late++;
        else if (error === "gone") counts.aborted++;
        else counts.failed++;
      }
      clearTimeout(timer);
      await new Promise((resolve) => setTimeout(resolve, counts.refused > 0 ? 2 : 0));
    }
  };
  const faults = async () => {
    let before: number | undefined;
    while (performance.now() < end) {
      upstream.badness = [0, 0, 0.3, 0.9, 1][Math.floor(random() * 5)]!;
      const fault = random();
      if (fault < 0.2) proxy.hang();
      else if (fault < 0.4) await proxy.refuse();
      else if (fault < 0.6) proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 200 + 300 * random()));
      if (fault >= 0.2 && fault < 0.4) proxy.cut();
      await proxy.resume();
      await new Promise((resolve) => setTimeout(resolve, 300 * random()));
      if (performance.now() > end - SECONDS * 667) before ??= heapInUse();
    }
    return before!;
  };
  const [before] = await Promise.all([faults(), ...Array.from({ length: 20 }, caller)]);
  const after = heapInUse();

  // It recovers: the upstream and the database are well again.
  upstream.badness = 0;
  await until(() => !isOut, 10_000);
  for (const key of [0, 1, 2]) {
    await until(async () => {
      await breaker.execute(`upstream ${key}`, answer).catch(() => {});
      return !await breaker.isOpen(`upstream ${key}`);
    }, 10_000);
  }
  await breaker.close();
  await store.close();
  assertEquals(underway, 0, `seed ${SEED}: calls of the upstream go on`);
  const { returned, failed, late, aborted, refused } = counts;
  assertEquals(returned + failed + late + aborted + refused, made, `seed ${SEED}`);
  // Each call is reported once, as its caller saw it. Those of the recovery come on top as successes.
  assertEquals([reports.failure, reports.timeout], [failed + late, late], `seed ${SEED}`);
  // A caller who gives up while the store is asked has no call that could be reported.
  assert(reports.ignored <= aborted && aborted > 0, `seed ${SEED}`);
  assert(reports.success >= returned && reports.reject >= refused, `seed ${SEED}`);
  assert(returned > 100 && failed > 0 && refused > 0 && late > 0, JSON.stringify(counts));
  assert(after - before < HEAP_GROWTH_BYTES, `${after - before} bytes more, seed ${SEED}`);
  assert(most <= 20, `${most} calls of the upstream at a time`);
});
