import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type OpenMetricsContentType, Registry } from "prom-client";
import { CircuitBreaker, InMemoryCircuitBreakerStore } from "../../mod.ts";
import { OTHER_KEYS } from "../../src/metrics/by_key.ts";
import { collect } from "../../src/metrics/prometheus.ts";
import { until } from "../support/until.ts";
import { samplesOf } from "./samples.ts";

Deno.test("collect adds metrics to the real registry, and removes them at the end", async () => {
  const registry = new Registry();
  const store = new InMemoryCircuitBreakerStore({ resetTimeoutMs: 60_000 });
  const end = collect(store, registry);
  await store.recordSuccess("a");
  await store.recordFailure("a");
  await store.transition("a", "open");
  for (let i = 0; i < 3; i++) await store.getState("a");
  await store.acquire("a");
  const permit = await store.acquire("b");
  await permit.report("ignored");
  const samples = await samplesOf(registry);
  const expected = {
    'results_total{key="a",outcome="success"}': 1,
    'results_total{key="a",outcome="failure"}': 1,
    'results_total{key="b",outcome="ignored"}': 1,
    'refused_total{key="a"}': 4,
    'admitted_total{key="b"}': 1,
    'transitions_total{key="a",to="open",cause="trip"}': 1,
    'state{key="a",state="open"}': 1,
    'state{key="a",state="closed"}': 0,
    'state{key="b",state="closed"}': 1,
    "store_outage": 0,
  };
  for (const [name, value] of Object.entries(expected)) {
    assertEquals(samples.get(`circuit_breaker_${name}`), value, name);
  }
  assertStringIncludes(await registry.metrics(), "# TYPE circuit_breaker_refused_total counter");
  end();
  assertEquals((await registry.getMetricsAsJSON()).length, 0);
  await store.getState("a");
});

Deno.test("collect serves several stores on one registry, apart by labels, and again after clear", async () => {
  const registry = new Registry();
  const [one, other] = [new InMemoryCircuitBreakerStore(), new InMemoryCircuitBreakerStore()];
  using ending = collect(one, registry, { labels: { table: "one" } });
  using _other = collect(other, registry, { labels: { table: "other" } });
  await one.recordSuccess("a");
  await other.recordSuccess("a");
  await other.recordSuccess("a");
  const count = async (table: string) =>
    (await samplesOf(registry)).get(
      `circuit_breaker_results_total{table="${table}",key="a",outcome="success"}`,
    );
  assertEquals([await count("one"), await count("other")], [1, 2]);
  ending();
  assertEquals([await count("one"), await count("other")], [undefined, 2]);
  assertThrows(
    () => collect(one, registry, { labels: { table: "other" } }),
    RangeError,
    "the same labels",
  );
  registry.clear();
  using _again = collect(one, registry, { labels: { table: "one" } });
  await one.recordSuccess("a");
  assertEquals(await count("one"), 1);
});

Deno.test("collect labels a breaker's circuits as those of its store: by stored keys, within maxKeys", async () => {
  const registry = new Registry();
  const store = new InMemoryCircuitBreakerStore({ failureThreshold: 1, trip: "store" });
  const breaker = new CircuitBreaker(store, { record: "await" });
  using _store = collect(store, registry, { maxKeys: 5 });
  using _breaker = collect(breaker, registry, { maxKeys: 5 });
  const keys = ["plain", "k".repeat(100_000), "a\0b", "\ud800 lone", "\ufeffmark"];
  const labels = async (metric: string) =>
    [...await samplesOf(registry)].flatMap(([name, value]) => {
      const [, key, outcome] = /^(?:\w+)\{key="(.*)",outcome="(.*)"\}$/s.exec(name) ?? [];
      return name.startsWith(`circuit_breaker_${metric}{`) ? [`${key} ${outcome} ${value}`] : [];
    }).toSorted();
  const total = async (metric: string) =>
    (await labels(metric)).reduce((sum, label) => sum + Number(label.split(" ").at(-1)), 0);
  for (const key of keys) await breaker.execute(key, () => 1);
  // The stored form of a long key is known a little later, and takes its place among the labels then.
  await until(async () => await total("executions_total") === 5);
  const [longKey] = (await store.list({ after: "k" })).filter(({ key }) => key.startsWith("kkk"));
  await breaker.execute(longKey!, () => 2);
  await breaker.execute("sixth", () => 1);
  await until(async () => await total("executions_total") === 7);
  await until(async () => await total("results_total") === 7);
  const executions = await labels("executions_total");
  assertEquals(executions.length, 6);
  assertEquals(executions, await labels("results_total"));
  assert(executions.every((label) => label.length < 220), String(executions.map((l) => l.length)));
  assert(executions.some((label) => label.startsWith("kkk") && label.endsWith(" success 2")));
  assert(executions.includes("(other) success 1"));
});

Deno.test("collect keeps 100,000 keys within its bound, and loses no count", async () => {
  const registry = new Registry();
  const store = new InMemoryCircuitBreakerStore();
  using _metrics = collect(store, registry, { maxKeys: 50 });
  for (let i = 0; i < 100_000; i++) await store.getState(`key ${i}`);
  const admitted = [...await samplesOf(registry)]
    .filter(([name]) => name.startsWith("circuit_breaker_admitted_total"));
  assertEquals(admitted.length, 51);
  assertEquals(admitted.reduce((sum, [, value]) => sum + value, 0), 100_000);
  assertEquals(
    admitted.find(([name]) => name.includes(OTHER_KEYS))?.[1],
    100_000 - 50,
  );
});

Deno.test("collect escapes hostile keys", async () => {
  const registry = new Registry();
  const store = new InMemoryCircuitBreakerStore();
  using _metrics = collect(store, registry);
  await store.recordSuccess('a"} 1\nother{x="');
  const lines = (await registry.metrics()).split("\n").filter((line) => line.includes("results"));
  assertEquals(
    lines.at(-1),
    'circuit_breaker_results_total{key="a\\"} 1\\nother{x=\\"",outcome="success"} 1',
  );
});

Deno.test("collect takes the format OpenMetrics, and a reset of the registry", async () => {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const store = new InMemoryCircuitBreakerStore();
  using _metrics = collect(store, registry);
  await store.recordSuccess("a");
  assertStringIncludes(
    await registry.metrics(),
    'circuit_breaker_results_total{key="a",outcome="success"} 1',
  );
  registry.resetMetrics();
  assertStringIncludes(
    await registry.metrics(),
    'circuit_breaker_results_total{key="a",outcome="success"} 1',
  );
});

Deno.test("collect counts the events of a breaker, with the key on the event or in its detail", async () => {
  const registry = new Registry();
  const breaker = new EventTarget();
  const end = collect(breaker, registry);
  const fire = (type: string, key: string) =>
    breaker.dispatchEvent(
      type === "reject"
        ? new CustomEvent(type, { detail: { key } })
        : Object.assign(new Event(type), { key }),
    );
  for (const type of ["success", "success", "failure", "ignored", "timeout", "fallback", "open"]) {
    fire(type, "a");
  }
  fire("reject", "b");
  const name = (key: string, outcome: string) =>
    `circuit_breaker_executions_total{key="${key}",outcome="${outcome}"}`;
  const expected = new Map([
    [name("a", "success"), 2],
    [name("a", "failure"), 1],
    [name("a", "ignored"), 1],
    [name("a", "timeout"), 1],
    [name("a", "fallback"), 1],
    [name("b", "rejected"), 1],
  ]);
  assertEquals(await samplesOf(registry), expected);
  end();
  fire("success", "a");
});

Deno.test("collect refuses what it cannot use", () => {
  const store = new InMemoryCircuitBreakerStore();
  const registry = new Registry();
  const wrong = (value: unknown) => value as never;
  assertThrows(() => collect({}, registry), TypeError, "expected a store");
  assertThrows(() => collect(store, wrong({})), TypeError, '"registry"');
  assertThrows(() => collect(store, registry, { maxKeys: 0 }), RangeError, '"maxKeys"');
  assertThrows(() => collect(store, registry, { labels: { key: "a" } }), RangeError, '"labels"');
  assertThrows(() => collect(store, registry, { labels: wrong({ a: 1 }) }), TypeError, '"labels"');
  assertEquals(registry.getMetricsAsArray().length, 0);
});
