/**
 * Metrics for {@link https://github.com/siimon/prom-client | prom-client}: of a store, or of a
 * `CircuitBreaker`.
 *
 * @example
 * ```ts
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { collect } from "@circuit-breaker/postgres/prometheus";
 * import { assertStringIncludes } from "@std/assert";
 * import { Registry } from "prom-client";
 *
 * const registry = new Registry();
 * const store = new InMemoryCircuitBreakerStore();
 * using _metrics = collect(store, registry);
 * await store.transition("payments", "open");
 * await store.getState("payments");
 * assertStringIncludes(await registry.metrics(), 'circuit_breaker_refused_total{key="payments"} 1');
 * ```
 *
 * @module
 */

import { describe } from "../describe.ts";
import { assertOptions, isOptions } from "../option_names.ts";
import { assertCount } from "../options/check.ts";
import {
  BUCKETS,
  type Distribution,
  type Family,
  type Labels,
  type Point,
  type Tally,
} from "./families.ts";
import { DEFAULT_MAX_KEYS, disposable, type EndMetrics, measure } from "./target.ts";

export type { EndMetrics };

/** The part of prom-client's `Registry` that is used. */
export interface RegistryLike {
  /** Adds a metric. */
  registerMetric(metric: never): void;
  /** Removes a metric. */
  removeSingleMetric(name: string): void;
}

/** How {@linkcode collect} collects. */
export interface CollectOptions {
  /**
   * How many keys have labels of their own, a whole number from 1 to 100,000: those that were seen first.
   * All others share the label `(other)`.
   *
   * @default {1000}
   */
  maxKeys?: number | undefined;
  /**
   * Labels that all values get, such as `{ table: "payments" }`. Give each store of a registry others.
   *
   * @default {{}}
   */
  labels?: Readonly<Record<string, string>> | undefined;
}

const ACTION = "collect metrics";

/** A value as prom-client writes it. */
interface Value {
  labels: Record<string, string | number>;
  value: number;
  metricName?: string;
}

/** What is measured, and the labels that its values get. */
class Source {
  readonly tally: Tally;
  readonly labels: Labels;
  #read: Map<Family, Point[]> | undefined;

  constructor(tally: Tally, labels: Labels) {
    this.tally = tally;
    this.labels = labels;
  }

  /** The values of a metric. A collection asks for all metrics at once, and reads them once. */
  pointsOf(family: Family): readonly Point[] {
    if (this.#read === undefined) {
      const read = this.#read = new Map<Family, Point[]>();
      for (const point of this.tally.points()) {
        const points = read.get(point.family);
        if (points === undefined) read.set(point.family, [point]);
        else points.push(point);
      }
      queueMicrotask(() => {
        this.#read = undefined;
      });
    }
    return this.#read.get(family) ?? [];
  }
}

/** The metrics of each registry. */
const collected = new WeakMap<RegistryLike, Collection>();

/**
 * Adds the metrics of a store, or of a `CircuitBreaker`, to a registry. Reading the registry sends no
 * statement. Several stores and breakers can share a registry.
 *
 * @param target The store or the breaker.
 * @param registry A `Registry` of prom-client, version 14 or 15, such as its `register`.
 * @param options How many keys have labels, and labels that all values get.
 * @returns A function that ends it and removes the metrics. It works with `using`.
 * @throws {TypeError} If an argument or an option is of a wrong type.
 * @throws {RangeError} If an option is out of range, or another target has the same labels.
 */
export function collect(
  target: unknown,
  registry: RegistryLike,
  options: CollectOptions = {},
): EndMetrics {
  if (!isRegistry(registry)) {
    throw new TypeError(
      `Cannot ${ACTION}: "registry" must be a Registry of prom-client, received ${
        describe(registry)
      }`,
    );
  }
  assertOptions(ACTION, options, ["maxKeys", "labels"]);
  const { maxKeys = DEFAULT_MAX_KEYS, labels = {} } = options;
  assertCount(ACTION, "maxKeys", maxKeys, 1, 100_000);
  assertLabels(labels);
  const { tally, end } = measure(ACTION, target, maxKeys);
  let collection = collected.get(registry);
  if (collection === undefined) collected.set(registry, collection = new Collection(registry));
  const source = new Source(tally, labels);
  if (collection.hasAlike(source)) {
    end();
    throw new RangeError(
      `Cannot ${ACTION}: the registry has another target with the same labels, pass "labels" that differ`,
    );
  }
  const remove = collection.add(source);
  return disposable(() => {
    end();
    remove();
  });
}

/** The metrics of one registry, each with the values of all sources. */
class Collection {
  readonly #registry: RegistryLike;
  readonly #metrics = new Map<Family, PrometheusMetric>();
  #sources: readonly Source[] = [];

  constructor(registry: RegistryLike) {
    this.#registry = registry;
  }

  /** Whether values of a source would be in the same series as those of another one. */
  hasAlike({ tally, labels }: Source): boolean {
    return this.#sources.some((each) =>
      each.tally.families[0] === tally.families[0] && isSame(each.labels, labels)
    );
  }

  /** Adds a source. Returns a function that removes it. */
  add(source: Source): () => void {
    for (const family of source.tally.families) {
      let metric = this.#metrics.get(family);
      if (metric === undefined) {
        metric = new PrometheusMetric(family, () => this.#sources);
        this.#metrics.set(family, metric);
      }
      // Again for one that is there already: the registry may have been cleared.
      this.#registry.registerMetric(metric as never);
    }
    this.#sources = [...this.#sources, source];
    return () => this.#remove(source);
  }

  #remove(source: Source): void {
    this.#sources = this.#sources.filter((each) => each !== source);
    for (const [family] of this.#metrics) {
      if (this.#sources.some(({ tally }) => tally.families.includes(family))) continue;
      this.#registry.removeSingleMetric(family.prometheus);
      this.#metrics.delete(family);
    }
  }
}

/** A metric in the form in which prom-client asks its own. */
class PrometheusMetric {
  // OpenMetrics knows counters without `_total`: prom-client changes the name then.
  name: string;
  readonly help: string;
  readonly type: Family["type"];
  readonly aggregator: Family["aggregator"];
  readonly #family: Family;
  readonly #sources: () => readonly Source[];

  constructor(family: Family, sources: () => readonly Source[]) {
    this.name = family.prometheus;
    this.help = family.help;
    this.type = family.type;
    this.aggregator = family.aggregator;
    this.#family = family;
    this.#sources = sources;
  }

  /** What prom-client asks at each collection. */
  get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values = type === "histogram" ? this.#buckets() : this.#values();
    return Promise.resolve({ name, help, type, aggregator, values });
  }

  /** What prom-client calls to forget all values: a store goes on counting. */
  reset(): void {}

  #values(): Value[] {
    return this.#sources().flatMap((source) =>
      source.pointsOf(this.#family).map((point) => ({
        labels: { ...source.labels, ...point.labels },
        value: point.value,
      }))
    );
  }

  #buckets(): Value[] {
    return this.#sources().flatMap(({ tally, labels }) =>
      tally.distributions().flatMap((each) =>
        valuesOf(this.name, each, { ...labels, ...each.labels })
      )
    );
  }
}

function valuesOf(
  name: string,
  { buckets, sum, count }: Distribution,
  labels: Labels,
): Value[] {
  let below = 0;
  const values: Value[] = BUCKETS.map((le, i) => ({
    labels: { ...labels, le },
    value: below += buckets[i]!,
    metricName: `${name}_bucket`,
  }));
  values.push({ labels: { ...labels, le: "+Inf" }, value: count, metricName: `${name}_bucket` });
  values.push({ labels: { ...labels }, value: sum, metricName: `${name}_sum` });
  values.push({ labels: { ...labels }, value: count, metricName: `${name}_count` });
  return values;
}

function isSame(one: Labels, other: Labels): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length &&
    names.every((name) => one[name] === other[name]);
}

function isRegistry(value: unknown): value is RegistryLike {
  if (typeof value !== "object" || value === null) return false;
  const { registerMetric, removeSingleMetric } = value as RegistryLike;
  return typeof registerMetric === "function" && typeof removeSingleMetric === "function";
}

/** Names of labels that the metrics have themselves. */
const OWN_LABELS = ["key", "state", "to", "outcome", "cause", "kind", "error", "le"];

function assertLabels(labels: unknown): void {
  if (!isOptions(labels)) {
    throw new TypeError(
      `Cannot ${ACTION}: "labels" must be a plain object, received ${describe(labels)}`,
    );
  }
  for (const [name, value] of Object.entries(labels)) {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,62}$/.test(name) || OWN_LABELS.includes(name)) {
      throw new RangeError(
        `Cannot ${ACTION}: a name in "labels" must be of letters, digits and "_", and none of ` +
          `${OWN_LABELS.join(", ")}, received a name of ${name.length} characters`,
      );
    }
    if (typeof value !== "string") {
      throw new TypeError(
        `Cannot ${ACTION}: the values of "labels" must be strings, received ${describe(value)}`,
      );
    }
  }
}
