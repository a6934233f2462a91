/**
 * Metrics for {@link https://opentelemetry.io | OpenTelemetry}: of a store, or of a `CircuitBreaker`.
 *
 * @example
 * ```ts
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { instrument } from "@circuit-breaker/postgres/opentelemetry";
 * import { MeterProvider } from "@opentelemetry/sdk-metrics";
 *
 * const store = new InMemoryCircuitBreakerStore();
 * // Without a meter provider it takes the one that is registered.
 * using _metrics = instrument(store, { meterProvider: new MeterProvider() });
 * await store.recordSuccess("payments");
 * ```
 *
 * @module
 */

import { describe } from "../describe.ts";
import { assertOptions } from "../option_names.ts";
import { assertCount } from "../options/check.ts";
import type { StoreObserver } from "../ports.ts";
import { VERSION } from "../version.ts";
import { ATTRIBUTES, BUCKETS, type Family, type Labels, STORE_FAMILIES } from "./families.ts";
import { DEFAULT_MAX_KEYS, disposable, type EndMetrics, type Extra, measure } from "./target.ts";

export type { EndMetrics };

/** Attributes of a value. */
export type Attributes = Readonly<Record<string, string>>;

/** What takes the values of one reading. */
export interface BatchResultLike {
  /** Takes a value of an instrument. */
  observe(instrument: object, value: number, attributes?: Attributes): void;
}

/** A function that gives the values of several instruments. */
export type BatchCallback = (result: BatchResultLike) => void;

/** What describes an instrument. */
export interface InstrumentOptionsLike {
  /** What it means. */
  description?: string;
  /** In the words of UCUM. */
  unit?: string;
  /** Advice for the SDK. */
  advice?: { explicitBucketBoundaries?: number[] };
}

/** The part of a `Meter` of `@opentelemetry/api` that is used. */
export interface MeterLike {
  /** Makes a counter that is asked. */
  createObservableCounter(name: string, options?: InstrumentOptionsLike): object;
  /** Makes a gauge that is asked. */
  createObservableGauge(name: string, options?: InstrumentOptionsLike): object;
  /** Makes a histogram. */
  createHistogram(name: string, options?: InstrumentOptionsLike): {
    record(value: number, attributes?: Attributes): void;
  };
  /** Adds a function that gives the values of instruments. */
  addBatchObservableCallback(callback: BatchCallback, instruments: object[]): void;
  /** Removes it. */
  removeBatchObservableCallback(callback: BatchCallback, instruments: object[]): void;
}

/** The part of a `MeterProvider` that is used. */
export interface MeterProviderLike {
  /** Returns a meter. */
  getMeter(name: string, version?: string): MeterLike;
}

/** The part of the API's `trace` that is used. */
export interface TraceLike {
  /** The span of the request that is being served. */
  getActiveSpan(): { addEvent(name: string, attributes?: Attributes): unknown } | undefined;
}

/** How {@linkcode instrument} measures. */
export interface InstrumentOptions {
  /**
   * Where the metrics go.
   *
   * @default {undefined} the one that is registered with `@opentelemetry/api`, version 1
   */
  meterProvider?: MeterProviderLike | undefined;
  /**
   * How many keys have attributes of their own, a whole number from 1 to 100,000: those that were seen
   * first. All others share the name `(other)`.
   *
   * @default {1000}
   */
  maxKeys?: number | undefined;
  /**
   * Attributes that all values get, such as `{ "db.collection.name": "payments" }`. Give each store of a
   * meter provider others.
   *
   * @default {{}}
   */
  attributes?: Attributes | undefined;
  /**
   * The `trace` of `@opentelemetry/api`: each refusal then becomes an event `circuitbreaker.refused` on the
   * active span, with the key and the state.
   *
   * @default {undefined} no events
   */
  trace?: TraceLike | undefined;
}

const ACTION = "instrument";

/** Where `@opentelemetry/api` keeps what was registered, in all copies of its version 1. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");

/**
 * Measures a store, or a `CircuitBreaker`, with OpenTelemetry. Reading the metrics sends no statement.
 *
 * @param target The store or the breaker.
 * @param options Where the metrics go, how many keys have attributes, and whether refusals become events.
 * @returns A function that ends it. It works with `using`.
 * @throws {TypeError} If the target or an option is of a wrong type, or no meter provider is registered.
 * @throws {RangeError} If `maxKeys` is out of range.
 */
export function instrument(target: unknown, options: InstrumentOptions = {}): EndMetrics {
  assertOptions(ACTION, options, ["meterProvider", "maxKeys", "attributes", "trace"]);
  const { maxKeys = DEFAULT_MAX_KEYS, attributes = {}, trace } = options;
  assertCount(ACTION, "maxKeys", maxKeys, 1, 100_000);
  const provider = options.meterProvider ?? registeredProvider();
  if (typeof provider?.getMeter !== "function") {
    throw new TypeError(
      `Cannot ${ACTION}: no meter provider is registered: pass "meterProvider", or call ` +
        `metrics.setGlobalMeterProvider of @opentelemetry/api first, received ${
          describe(options.meterProvider)
        }`,
    );
  }
  if (trace !== undefined && typeof trace?.getActiveSpan !== "function") {
    throw new TypeError(
      `Cannot ${ACTION}: "trace" must be the trace of @opentelemetry/api, received ${
        describe(trace)
      }`,
    );
  }
  const meter = provider.getMeter("@circuit-breaker/postgres", VERSION);
  const { tally, end } = measure(ACTION, target, maxKeys, extraOf(meter, attributes, trace));
  const observed = tally.families.filter(({ type }) => type !== "histogram");
  const instruments = new Map(observed.map((family) => [family, observableOf(meter, family)]));
  const callback: BatchCallback = (result) => {
    for (const { family, value, labels } of tally.points()) {
      result.observe(instruments.get(family)!, value, attributesOf(labels, attributes));
    }
  };
  meter.addBatchObservableCallback(callback, [...instruments.values()]);
  return disposable(() => {
    end();
    meter.removeBatchObservableCallback(callback, [...instruments.values()]);
  });
}

function registeredProvider(): MeterProviderLike | undefined {
  // By reflection, as for names of runtimes: the module needs nothing of the API.
  // dnt-shim-ignore
  const registered = Reflect.get(globalThis, REGISTERED) as { metrics?: MeterProviderLike };
  return registered?.metrics;
}

function observableOf(meter: MeterLike, family: Family): object {
  const { opentelemetry: name, help: description, unit } = family;
  return family.type === "counter"
    ? meter.createObservableCounter(name, { description, unit })
    : meter.createObservableGauge(name, { description, unit });
}

/** What sees a target beside what adds up: durations, and events of spans. */
function extraOf(meter: MeterLike, attributes: Attributes, trace: TraceLike | undefined): Extra {
  const { opentelemetry, help, unit } = STORE_FAMILIES.duration;
  const duration = meter.createHistogram(opentelemetry, {
    description: help,
    unit,
    advice: { explicitBucketBoundaries: [...BUCKETS] },
  });
  const onRefused = (key: string, state?: string) => {
    try {
      trace?.getActiveSpan()?.addEvent(
        "circuitbreaker.refused",
        attributesOf(state === undefined ? { key } : { key, state }, {}),
      );
    } catch {
      // A span that fails must not refuse or admit a request.
    }
  };
  const observer: StoreObserver = {
    onStatement: ({ kind, ms }) => {
      try {
        duration.record(ms / 1000, attributesOf({ kind }, attributes));
      } catch {
        // Nor must a meter that fails.
      }
    },
    ...trace !== undefined && { onRefused },
  };
  return { observer, ...trace !== undefined && { onRejected: onRefused } };
}

function attributesOf(labels: Labels, attributes: Attributes): Attributes {
  const named = Object.entries(labels).map(([name, value]) => [ATTRIBUTES[name] ?? name, value]);
  return { ...attributes, ...Object.fromEntries(named) };
}
