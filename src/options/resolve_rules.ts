import { describe } from "../describe.ts";
import type { BackoffRules, RateRules } from "./rule_options.ts";
import { ACTION } from "./store_checks.ts";
import type {
  CircuitRules,
  PostgresCircuitBreakerStoreOptions,
  ProbingRules,
} from "./store_options.ts";

/** What a store that opens circuits uses where no reset timeout is given: the policy's default. */
const RESET_TIMEOUT_MS = 30_000;

/** Checks the options that are rules against each other, and fills in the defaults. */
export function resolveRules(options: PostgresCircuitBreakerStoreOptions): CircuitRules {
  const { failureWindowMs, slowCallDurationMs } = options;
  // The policy may read the same object, and count nothing by itself.
  const failureThreshold = options.failureThreshold === Infinity
    ? undefined
    : options.failureThreshold;
  assertNeeds("failureWindowMs", failureWindowMs, "failureThreshold", failureThreshold);
  const rates = ratesOf(options);
  const isByStore = isByStoreOf(options, failureThreshold, rates);
  return {
    probing: probingOf(options, isByStore),
    failureThreshold,
    failureWindowMs: failureWindowMs === undefined ? undefined : Math.ceil(failureWindowMs),
    trip: { isByStore, rates },
    quorum: options.quorum,
    slowCallDurationMs,
  };
}

function isByStoreOf(
  options: PostgresCircuitBreakerStoreOptions,
  failureThreshold: number | undefined,
  rates: RateRules | undefined,
): boolean {
  const { quorum } = options;
  const hasRule = rates !== undefined || options.failureWindowMs !== undefined ||
    quorum !== undefined;
  const { trip = hasRule ? "store" : "caller" } = options;
  if (trip === "store" && failureThreshold === undefined && rates === undefined) {
    const [name, value] = quorum === undefined ? ["trip", '"store"'] : ["quorum", quorum];
    throw new TypeError(
      `Cannot ${ACTION}: "${name}" needs a rule, "failureThreshold" or "failureRateThreshold" or ` +
        `"slowCallRateThreshold", received ${value}`,
    );
  }
  if (trip === "caller" && quorum !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION}: "trip" must be "store" with "quorum", received "caller"`,
    );
  }
  if (trip === "caller" && rates !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION}: "trip" must be "store" with "failureRateThreshold" or ` +
        `"slowCallRateThreshold", received "caller"`,
    );
  }
  return trip === "store";
}

function ratesOf(options: PostgresCircuitBreakerStoreOptions): RateRules | undefined {
  const { failureRateThreshold, slowCallRateThreshold, slowCallDurationMs } = options;
  const { windowMs, minimumThroughput } = options;
  assertNeeds(
    "slowCallRateThreshold",
    slowCallRateThreshold,
    "slowCallDurationMs",
    slowCallDurationMs,
  );
  const rate = failureRateThreshold ?? slowCallRateThreshold;
  assertNeeds("windowMs", windowMs, "failureRateThreshold", rate);
  assertNeeds("minimumThroughput", minimumThroughput, "failureRateThreshold", rate);
  assertNeeds("slowCallDurationMs", slowCallDurationMs, "slowCallRateThreshold", rate);
  if (rate === undefined) return undefined;
  return {
    failureRate: failureRateThreshold,
    slowRate: slowCallRateThreshold,
    windowMs: Math.ceil(windowMs ?? 60_000),
    minimumThroughput: minimumThroughput ?? 20,
  };
}

function probingOf(
  options: PostgresCircuitBreakerStoreOptions,
  isByStore: boolean,
): ProbingRules | undefined {
  const { halfOpenMax, probeTimeoutMs, successThreshold, rampUpMs, resetBackoff } = options;
  const { resetTimeoutMs = isByStore ? RESET_TIMEOUT_MS : undefined } = options;
  const needed = { probeTimeoutMs, successThreshold, resetBackoff, rampUpMs };
  for (const [name, value] of Object.entries(needed)) {
    assertNeeds(name, value, "resetTimeoutMs", resetTimeoutMs);
  }
  if (resetTimeoutMs === undefined) return undefined;
  return {
    resetTimeoutMs: Math.ceil(resetTimeoutMs),
    halfOpenMax: halfOpenMax ?? 1,
    probeTimeoutMs: Math.ceil(probeTimeoutMs ?? Math.max(resetTimeoutMs, 10_000)),
    successThreshold: successThreshold ?? 1,
    backoff: backoffOf(resetBackoff, Math.ceil(resetTimeoutMs)),
    rampUpMs: rampUpMs === undefined ? undefined : Math.ceil(rampUpMs),
  };
}

function backoffOf(
  backoff: PostgresCircuitBreakerStoreOptions["resetBackoff"],
  resetTimeoutMs: number,
): BackoffRules | undefined {
  if (backoff === undefined) return undefined;
  const { factor = 2, maxMs = Math.max(300_000, resetTimeoutMs), jitter = 0 } = backoff;
  if (maxMs < resetTimeoutMs) {
    throw new RangeError(
      `Cannot ${ACTION}: "resetBackoff.maxMs" must be at least "resetTimeoutMs", received ${maxMs}`,
    );
  }
  return { factor, maxMs: Math.ceil(maxMs), jitter };
}

/** Throws where an option is given without the one that it needs. */
export function assertNeeds(name: string, value: unknown, needed: string, other: unknown): void {
  if (value === undefined || other !== undefined) return;
  throw new TypeError(
    `Cannot ${ACTION}: "${name}" needs "${needed}", received ${describe(other)}`,
  );
}
