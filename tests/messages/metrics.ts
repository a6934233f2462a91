/** The messages of the metrics, with what provokes them. */

import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { instrument, type MeterProviderLike } from "../../src/metrics/opentelemetry.ts";
import { collect } from "../../src/metrics/prometheus.ts";
import type { Listed } from "./listed.ts";

const store = new InMemoryCircuitBreakerStore();
const registry = { registerMetric() {}, removeSingleMetric() {} };
const meterProvider = { getMeter() {} } as unknown as MeterProviderLike;

/** Anything, where the types would refuse it. */
function wrong(value: unknown): never {
  return value as never;
}

export const METRICS: readonly Listed[] = [
  [
    () => collect("postgres://localhost", registry),
    "Cannot collect metrics: expected a store or a CircuitBreaker of this package, received a string of " +
    "20 characters",
  ],
  [
    () => collect(store, wrong(undefined)),
    'Cannot collect metrics: "registry" must be a Registry of prom-client, received undefined',
  ],
  [
    () => collect(store, registry, { maxKeys: 0 }),
    'Cannot collect metrics: "maxKeys" must be a whole number from 1 to 100000, received 0',
  ],
  [
    () => collect(store, registry, { labels: wrong("a") }),
    'Cannot collect metrics: "labels" must be a plain object, received a string of 1 character',
  ],
  [
    () => collect(store, registry, { labels: { key: "a" } }),
    'Cannot collect metrics: a name in "labels" must be of letters, digits and "_", and none of key, ' +
    "state, to, outcome, cause, kind, error, le, received a name of 3 characters",
  ],
  [
    () => collect(store, registry, { labels: { table: wrong(5) } }),
    'Cannot collect metrics: the values of "labels" must be strings, received 5',
  ],
  [
    () => {
      collect(store, registry);
      collect(store, registry);
    },
    "Cannot collect metrics: the registry has another target with the same labels, pass " +
    '"labels" that differ',
  ],
  [
    () => instrument(store, { meterProvider: wrong({}) }),
    'Cannot instrument: no meter provider is registered: pass "meterProvider", or call ' +
    "metrics.setGlobalMeterProvider of @opentelemetry/api first, received an object",
  ],
  [
    () => instrument(store, { meterProvider, trace: wrong(1) }),
    'Cannot instrument: "trace" must be the trace of @opentelemetry/api, received 1',
  ],
];
