import {
  assertCount,
  assertFunction,
  assertMilliseconds,
  assertOneOf,
  assertOptions,
} from "./check.ts";
import { describe } from "../describe.ts";
import type {
  CircuitRules,
  OutageChange,
  PostgresCircuitBreakerStoreOptions,
} from "./store_options.ts";

const ACTION = "create store";

/** The longest that a timer of JavaScript waits. */
const MAX_TIMER = 2 ** 31 - 1;

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
  "timeoutMs",
  "onOutage",
  "onOutageChange",
  "durability",
  "pruneIdleMs",
  "maxCircuits",
  "maxStalenessMs",
  ...POLICY_ONLY,
];

/** A store's own options after validation. */
export interface ResolvedOptions {
  now: (() => number) | undefined;
  rules: CircuitRules;
  timeoutMs: number;
  onOutage: "throw" | "local";
  onOutageChange: ((change: OutageChange) => void) | undefined;
  durability: "default" | "relaxed";
  pruneIdleMs: number | undefined;
  maxCircuits: number | undefined;
  /** 0 for asking every time. */
  maxStalenessMs: number;
}

/** Checks the options of a store and fills in the defaults. */
export function resolveOptions(options: PostgresCircuitBreakerStoreOptions): ResolvedOptions {
  assertOptions(ACTION, options, SHARED_OPTIONS);
  const { now, resetTimeoutMs, halfOpenMax, probeTimeoutMs, failureThreshold, failureWindowMs } =
    options;
  const { timeoutMs = 1000, onOutage = "throw", onOutageChange } = options;
  assertFunction(ACTION, "now", now);
  assertTimer("timeoutMs", timeoutMs);
  assertOneOf(ACTION, "onOutage", onOutage, ["throw", "local"]);
  assertFunction(ACTION, "onOutageChange", onOutageChange);
  const { durability = "default", pruneIdleMs, maxCircuits } = options;
  assertOneOf(ACTION, "durability", durability, ["default", "relaxed"]);
  assertMilliseconds(ACTION, "pruneIdleMs", pruneIdleMs);
  assertCount(ACTION, "maxCircuits", maxCircuits, 100, 100_000_000);
  const { maxStalenessMs = 0 } = options;
  if (maxStalenessMs !== 0) assertTimer("maxStalenessMs", maxStalenessMs);
  assertMilliseconds(ACTION, "resetTimeoutMs", resetTimeoutMs);
  assertCount(ACTION, "halfOpenMax", halfOpenMax, 1, 10_000);
  assertMilliseconds(ACTION, "probeTimeoutMs", probeTimeoutMs);
  assertCount(ACTION, "failureThreshold", failureThreshold, 1, 10_000);
  assertMilliseconds(ACTION, "failureWindowMs", failureWindowMs);
  assertNeeds("probeTimeoutMs", probeTimeoutMs, "resetTimeoutMs", resetTimeoutMs);
  assertNeeds("failureWindowMs", failureWindowMs, "failureThreshold", failureThreshold);
  const probing = resetTimeoutMs === undefined ? undefined : {
    resetTimeoutMs: Math.ceil(resetTimeoutMs),
    halfOpenMax: halfOpenMax ?? 1,
    probeTimeoutMs: Math.ceil(probeTimeoutMs ?? Math.max(resetTimeoutMs, 10_000)),
  };
  return {
    now,
    timeoutMs,
    onOutage,
    onOutageChange,
    durability,
    pruneIdleMs: pruneIdleMs === undefined ? undefined : Math.ceil(pruneIdleMs),
    maxCircuits,
    maxStalenessMs,
    rules: {
      probing,
      failureThreshold,
      failureWindowMs: failureWindowMs === undefined ? undefined : Math.ceil(failureWindowMs),
    },
  };
}

function assertTimer(name: string, value: number): void {
  assertMilliseconds(ACTION, name, value);
  if (value <= MAX_TIMER) return;
  throw new RangeError(
    `Cannot ${ACTION}: "${name}" must be at most ${MAX_TIMER}, received ${value}`,
  );
}

function assertNeeds(name: string, value: unknown, needed: string, other: unknown): void {
  if (value === undefined || other !== undefined) return;
  throw new TypeError(
    `Cannot create store: "${name}" needs "${needed}", received ${describe(other)}`,
  );
}
