import { describe } from "./describe.ts";

/**
 * Options of `PostgresCircuitBreakerStore`. They are read once, by the constructor; an option that
 * does not exist is an error rather than ignored.
 *
 * The options of Stoma's `circuitBreaker` policy that only the policy reads (`failureOn`,
 * `openStatusCode`, `key`, `onStateChange`, `skip`, `store`) may stand in the same object.
 */
export interface PostgresCircuitBreakerStoreOptions extends PolicyOnlyOptions {
  /**
   * A clock in epoch milliseconds that replaces the database's, for tests and simulated time. All
   * instances that share a table must then agree on it. Snapshots are in this clock as well.
   *
   * @default {undefined} the database's clock, translated into the caller's `Date.now()`
   */
  now?: () => number;
  /**
   * How long an open circuit refuses traffic before probes are let through, in milliseconds, by the
   * database's clock. With it, `getState` admits exactly `halfOpenMax` probes per round over all
   * instances: the winner gets `half-open`, everyone else `open`. The same option as the policy's:
   * all instances, and the policy, should agree on it.
   *
   * @default {undefined} probing is left to the policy of each instance
   */
  resetTimeoutMs?: number;
  /**
   * How many probes a round admits over all instances, a whole number from 1. The policy's option of
   * the same name. Needs `resetTimeoutMs`.
   *
   * @default {1}
   */
  halfOpenMax?: number;
  /**
   * How long a probe may take, in milliseconds, before its slot is given to another: the lease of an
   * instance that crashed ends after it. Choose more than the upstream's own timeout. Needs
   * `resetTimeoutMs`.
   *
   * @default {Math.max(resetTimeoutMs, 10_000)}
   */
  probeTimeoutMs?: number;
  /**
   * How many failures open a circuit, a whole number from 1: the policy's option of the same name.
   * The policy decides; the store uses it to tell a late probe result from a circuit that really is
   * due to open, and as the least that `failureWindowMs` counts exactly.
   *
   * @default {undefined}
   */
  failureThreshold?: number;
  /**
   * Only failures of the last so many milliseconds count, exactly, also in what is read. Needs
   * `failureThreshold`. Counts are exact up to 1000 failures in the window, or `failureThreshold`
   * where that is more, and stop there.
   *
   * @default {undefined} failures count until the circuit closes
   */
  failureWindowMs?: number;
}

/** Options that only the policy reads. The store accepts them so that one object serves both. */
export interface PolicyOnlyOptions {
  /** Read by the policy: which upstream status codes count as failures. */
  failureOn?: number[];
  /** Read by the policy: the status code of a refused request. */
  openStatusCode?: number;
  /** Read by the policy: the circuit key of a request. */
  // deno-lint-ignore no-explicit-any
  key?: (context: any) => string;
  /** Read by the policy: called after each transition the policy made. */
  // deno-lint-ignore no-explicit-any
  onStateChange?: (...change: any[]) => void | Promise<void>;
  /** Read by the policy: which requests bypass it. */
  // deno-lint-ignore no-explicit-any
  skip?: (context: any) => boolean | Promise<boolean>;
  /** Read by the policy: its store. */
  store?: unknown;
}

const POLICY_ONLY: readonly string[] = [
  "failureOn",
  "openStatusCode",
  "key",
  "onStateChange",
  "skip",
  "store",
];
const SHARED_OPTIONS: readonly string[] = [
  "now",
  "resetTimeoutMs",
  "halfOpenMax",
  "probeTimeoutMs",
  "failureThreshold",
  "failureWindowMs",
  ...POLICY_ONLY,
];

/** Options of `InMemoryCircuitBreakerStore`: what needs no database. */
export type InMemoryCircuitBreakerStoreOptions = PostgresCircuitBreakerStoreOptions;

/** How a store counts and admits: the part of its options that a circuit's rules need. */
export interface CircuitRules {
  /** Cluster-wide probing; `undefined` leaves it to the policy. */
  probing: ProbingRules | undefined;
  /** Failures that open a circuit, where it is known. */
  failureThreshold: number | undefined;
  /** How long a failure counts, in milliseconds; `undefined` for until the circuit closes. */
  failureWindowMs: number | undefined;
}

/** How an open circuit admits probes. Durations are in milliseconds. */
export interface ProbingRules {
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
}

/** A store's own options after validation. */
export interface ResolvedOptions {
  now: (() => number) | undefined;
  rules: CircuitRules;
}

/** Checks the options of a store and fills in the defaults. */
export function resolveOptions(options: PostgresCircuitBreakerStoreOptions): ResolvedOptions {
  assertNames(options, SHARED_OPTIONS);
  const { now, resetTimeoutMs, halfOpenMax, probeTimeoutMs, failureThreshold, failureWindowMs } =
    options;
  assertFunction("now", now);
  assertMilliseconds("resetTimeoutMs", resetTimeoutMs);
  assertCount("halfOpenMax", halfOpenMax);
  assertMilliseconds("probeTimeoutMs", probeTimeoutMs);
  assertCount("failureThreshold", failureThreshold);
  assertMilliseconds("failureWindowMs", failureWindowMs);
  assertNeeds("probeTimeoutMs", probeTimeoutMs, "resetTimeoutMs", resetTimeoutMs);
  assertNeeds("failureWindowMs", failureWindowMs, "failureThreshold", failureThreshold);
  const probing = resetTimeoutMs === undefined ? undefined : {
    resetTimeoutMs: Math.ceil(resetTimeoutMs),
    halfOpenMax: halfOpenMax ?? 1,
    probeTimeoutMs: Math.ceil(probeTimeoutMs ?? Math.max(resetTimeoutMs, 10_000)),
  };
  return {
    now,
    rules: {
      probing,
      failureThreshold,
      failureWindowMs: failureWindowMs === undefined ? undefined : Math.ceil(failureWindowMs),
    },
  };
}

function assertNames(options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot create store: "options" must be an object, received ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw new TypeError(
      `Cannot create store: there is no option ${describe(name)}, use one of ${names.join(", ")}`,
    );
  }
}

function assertFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new TypeError(
    `Cannot create store: "${name}" must be a function, received ${describe(value)}`,
  );
}

/** Longer durations than this, some 285 years, make times that a number does not hold exactly. */
const MAX_MILLISECONDS = 9e12;

function assertMilliseconds(name: string, value: unknown): void {
  if (value === undefined) return;
  assertNumber(name, value);
  if (value > 0 && value <= MAX_MILLISECONDS) return;
  throw new RangeError(
    `Cannot create store: "${name}" must be a positive number of milliseconds, received ${value}`,
  );
}

function assertCount(name: string, value: unknown): void {
  if (value === undefined) return;
  assertNumber(name, value);
  if (Number.isInteger(value) && value >= 1 && value <= 10_000) return;
  throw new RangeError(
    `Cannot create store: "${name}" must be a whole number from 1 to 10000, received ${value}`,
  );
}

function assertNumber(name: string, value: unknown): asserts value is number {
  if (typeof value === "number") return;
  throw new TypeError(
    `Cannot create store: "${name}" must be a number, received ${describe(value)}`,
  );
}

function assertNeeds(name: string, value: unknown, needed: string, other: unknown): void {
  if (value === undefined || other !== undefined) return;
  throw new TypeError(
    `Cannot create store: "${name}" needs "${needed}", received ${describe(other)}`,
  );
}
