import { assertEquals, assertThrows } from "@std/assert";
import { metrics } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { observationOf } from "../../src/metrics/observation.ts";
import { instrument, type TraceLike } from "../../src/metrics/opentelemetry.ts";

/** A real meter provider, whose metrics a test reads. */
function open() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  return {
    meterProvider,
    /** Each value by the name of its metric and its attributes. */
    async read(): Promise<Record<string, unknown>> {
      exporter.reset();
      await reader.forceFlush();
      const found: Record<string, unknown> = {};
      for (const { scopeMetrics } of exporter.getMetrics()) {
        for (const { metrics } of scopeMetrics) {
          for (const { descriptor, dataPoints } of metrics) {
            for (const { attributes, value } of dataPoints) {
              const values = Object.values(attributes).join(",");
              found[`${descriptor.name}{${values}}${descriptor.unit}`] = value;
            }
          }
        }
      }
      return found;
    },
    [Symbol.asyncDispose]: () => meterProvider.shutdown(),
  };
}

Deno.test("instrument feeds the real SDK until it is ended", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const store = new InMemoryCircuitBreakerStore();
  const end = instrument(store, { meterProvider, attributes: { table: "t" } });
  await store.recordSuccess("a");
  await store.recordSuccess("a");
  await store.transition("a", "open");
  await store.getState("a");
  const read = await telemetry.read();
  const expected = {
    "circuitbreaker.results{t,a,success}{call}": 2,
    "circuitbreaker.refused{t,a}{call}": 1,
    "circuitbreaker.admitted{t,a}{call}": 0,
    "circuitbreaker.transitions{t,a,open,trip}{transition}": 1,
    "circuitbreaker.state{t,a,closed}1": 0,
    "circuitbreaker.state{t,a,open}1": 1,
    "circuitbreaker.state{t,a,half-open}1": 0,
    "circuitbreaker.store.outage{t}1": 0,
    "circuitbreaker.store.pending{t,success}{call}": 0,
    "circuitbreaker.store.pending{t,refused}{call}": 0,
  };
  assertEquals(read, expected);
  end();
  await store.getState("a");
  // What the SDK has read stays with it, and does not grow.
  const after = await telemetry.read();
  assertEquals(after["circuitbreaker.refused{t,a}{call}"] ?? 1, 1);
});

Deno.test("instrument serves two stores of one provider", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const stores = ["x", "y"].map((table) => {
    const store = new InMemoryCircuitBreakerStore();
    instrument(store, { meterProvider, attributes: { table } });
    return store;
  });
  for (const store of stores) await store.recordFailure("a");
  const read = await telemetry.read();
  assertEquals(
    ["x", "y"].map((table) => read[`circuitbreaker.results{${table},a,failure}{call}`]),
    [1, 1],
  );
});

Deno.test("instrument takes the registered meter provider, and says where there is none", async () => {
  const store = new InMemoryCircuitBreakerStore();
  assertThrows(() => instrument(store), TypeError, "no meter provider is registered");
  await using telemetry = open();
  metrics.setGlobalMeterProvider(telemetry.meterProvider);
  try {
    using _metrics = instrument(store);
    await store.recordSuccess("a");
    assertEquals((await telemetry.read())["circuitbreaker.results{a,success}{call}"], 1);
  } finally {
    metrics.disable();
  }
});

Deno.test("instrument adds an event to the active span at a refusal, whatever the span does", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const store = new InMemoryCircuitBreakerStore({ resetTimeoutMs: 60_000 });
  const events: unknown[] = [];
  let spans = 0;
  const trace: TraceLike = {
    getActiveSpan() {
      spans++;
      if (spans === 2) return undefined;
      if (spans === 3) throw new Error("no span");
      return { addEvent: (name, attributes) => void events.push(name, attributes) };
    },
  };
  using _metrics = instrument(store, { meterProvider, trace });
  await store.getState("a");
  await store.forceOpen("a");
  for (let i = 0; i < 4; i++) await store.getState("a");
  const event = ["circuitbreaker.refused", {
    "circuitbreaker.name": "a",
    "circuitbreaker.state": "open",
  }];
  assertEquals(events, [...event, ...event]);
});

Deno.test("instrument adds a breaker's refusals to the active span at once, with long keys shortened", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const events: unknown[] = [];
  const trace: TraceLike = {
    getActiveSpan: () => ({ addEvent: (_name, attributes) => void events.push(attributes) }),
  };
  const breaker = new EventTarget();
  using _metrics = instrument(breaker, { meterProvider, trace });
  for (const key of ["a", "k".repeat(1000)]) {
    breaker.dispatchEvent(Object.assign(new Event("reject"), { key }));
  }
  assertEquals(events, [
    { "circuitbreaker.name": "a" },
    { "circuitbreaker.name": "k".repeat(120) },
  ]);
});

Deno.test("instrument counts the executions of a breaker", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const breaker = new EventTarget();
  using _metrics = instrument(breaker, { meterProvider });
  for (const type of ["success", "reject", "reject"]) {
    breaker.dispatchEvent(Object.assign(new Event(type), { key: "a" }));
  }
  assertEquals(await telemetry.read(), {
    "circuitbreaker.executions{a,success}{call}": 1,
    "circuitbreaker.executions{a,rejected}{call}": 2,
  });
});

Deno.test("instrument refuses what it cannot use", async () => {
  await using telemetry = open();
  const { meterProvider } = telemetry;
  const store = new InMemoryCircuitBreakerStore();
  const wrong = (value: unknown) => value as never;
  assertThrows(() => instrument(5, { meterProvider }), TypeError, "expected a store");
  assertThrows(() => instrument(store, { meterProvider: wrong({}) }), TypeError, "meter provider");
  assertThrows(() => instrument(store, { meterProvider, maxKeys: 1.5 }), RangeError, '"maxKeys"');
  assertThrows(() => instrument(store, { meterProvider, trace: wrong({}) }), TypeError, '"trace"');
});

Deno.test("a meter that fails harms no statement", async () => {
  await using telemetry = open();
  const provider = telemetry.meterProvider;
  const meterProvider = {
    getMeter(name: string) {
      const meter = provider.getMeter(name);
      const failing = {
        record: () => {
          throw new Error("no meter");
        },
      };
      return new Proxy(meter, {
        get: (target, member) =>
          member === "createHistogram" ? () => failing : Reflect.get(target, member).bind(target),
      });
    },
  };
  const store = new InMemoryCircuitBreakerStore();
  using _ = instrument(store, { meterProvider });
  const { observer } = observationOf(store)!;
  observer!.onStatement!({ kind: "read", keys: 1, calls: 1, rows: 1, ms: 1, error: undefined });
});
