/** The metrics: what they are called, and what they mean. */

/** A metric, with its name in each ecosystem. */
export interface Family {
  readonly prometheus: string;
  readonly opentelemetry: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** In the words of UCUM, as OpenTelemetry wants it. */
  readonly unit: string;
  readonly help: string;
  /** How a cluster of processes adds it up. */
  readonly aggregator: "sum" | "max";
}

function family(
  name: string,
  type: Family["type"],
  unit: string,
  help: string,
  aggregator: Family["aggregator"] = "sum",
): Family {
  const words = name.replaceAll(".", "_");
  const suffix = `${unit === "s" ? "_seconds" : ""}${type === "counter" ? "_total" : ""}`;
  return {
    prometheus: `circuit_breaker_${words}${suffix}`,
    opentelemetry: `circuitbreaker.${name}`,
    type,
    unit,
    help,
    aggregator,
  };
}

/** The metrics of a store, by names of their own. */
type StoreFamilies =
  | "results"
  | "admitted"
  | "refused"
  | "probes"
  | "state"
  | "transitions"
  | "votes"
  | "duration"
  | "statementCalls"
  | "errors"
  | "cacheAge"
  | "pending"
  | "outage";

/** The metrics of a store. */
export const STORE_FAMILIES: Readonly<Record<StoreFamilies, Family>> = {
  results: family(
    "results",
    "counter",
    "{call}",
    "Results of calls that were reported, by outcome",
  ),
  admitted: family("admitted", "counter", "{call}", "Calls that were admitted, with probes"),
  refused: family("refused", "counter", "{call}", "Calls that were refused"),
  probes: family("probes", "counter", "{call}", "Calls that were admitted as probes"),
  state: family(
    "state",
    "gauge",
    "1",
    "1 for the state in which this instance last saw the circuit, 0 for the others",
    "max",
  ),
  transitions: family(
    "transitions",
    "counter",
    "{transition}",
    "Changes of state that this instance wrote into the log, by the state after it and by cause",
  ),
  votes: family(
    "votes",
    "counter",
    "{vote}",
    "Votes for opening that this instance cast or took back",
  ),
  duration: family(
    "store.statement.duration",
    "histogram",
    "s",
    "How long statements took, by kind",
  ),
  statementCalls: family(
    "store.statement.calls",
    "counter",
    "{call}",
    "Calls that statements answered, by kind of statement",
  ),
  errors: family("store.errors", "counter", "{error}", "Statements that failed, by kind and error"),
  cacheAge: family("store.cache.age", "gauge", "s", "How old what the cache knows is", "max"),
  pending: family(
    "store.pending",
    "gauge",
    "{call}",
    "Successes and refusals that the database has yet to count",
  ),
  outage: family("store.outage", "gauge", "1", "1 while the database is out, otherwise 0", "max"),
};

/** The metrics of a breaker. */
export const BREAKER_FAMILIES: Readonly<Record<"executions", Family>> = {
  executions: family(
    "executions",
    "counter",
    "{call}",
    "Executions by outcome: success, failure, ignored, timeout, rejected, fallback",
  ),
};

/** The names of labels, and of the attributes that OpenTelemetry has for them. */
export const ATTRIBUTES: Readonly<Record<string, string>> = {
  key: "circuitbreaker.name",
  state: "circuitbreaker.state",
  to: "circuitbreaker.state",
  outcome: "circuitbreaker.outcome",
  cause: "circuitbreaker.cause",
  kind: "circuitbreaker.statement",
  error: "error.type",
};

/** The labels of a value. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a metric. */
export interface Point {
  readonly family: Family;
  readonly labels: Labels;
  readonly value: number;
}

/** The upper bounds of the buckets of durations, in seconds. */
export const BUCKETS: readonly number[] = [
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
];

/** How long the statements of a kind took. */
export interface Distribution {
  readonly labels: Labels;
  /** How many lie in each bucket, and beyond the last one. */
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** What adds up what a target does. */
export interface Tally {
  readonly families: readonly Family[];
  points(): Point[];
  distributions(): Distribution[];
}
