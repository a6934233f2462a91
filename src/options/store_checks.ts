import {
  assertCount,
  assertFunction,
  assertMilliseconds,
  assertNumber,
  assertOneOf,
  assertOptions,
  assertString,
  textOf,
} from "./check.ts";
import { MAX_ACTOR } from "./force.ts";
import type { PolicyOnlyOptions, PostgresCircuitBreakerStoreOptions } from "./store_options.ts";

/** What is being done, for errors. */
export const ACTION = "create store";

/** The longest that a timer of JavaScript waits. */
const MAX_TIMER = 2 ** 31 - 1;

/** An option that a store itself reads. */
export type StoreOption = Exclude<
  keyof PostgresCircuitBreakerStoreOptions,
  keyof PolicyOnlyOptions
>;

/** The least and the most of a whole number, the words of an enumeration, or a check. */
type Demand = readonly [least: number, most: number] | readonly string[] | Check;
type Check = (name: string, value: unknown) => void;

/** What each option must be by itself, unless it is absent. Both stores check all, whether they use them or not. */
const DEMANDS: Readonly<Record<StoreOption, Demand>> = {
  table: (name, value) => assertString(ACTION, name, value),
  now: callback,
  resetTimeoutMs: milliseconds,
  halfOpenMax: [1, 10_000],
  probeTimeoutMs: milliseconds,
  trip: ["caller", "store"],
  // The policy may read the same object, and count nothing by itself.
  failureThreshold: (name, value) =>
    value === Infinity || assertCount(ACTION, name, value, 1, 10_000),
  failureWindowMs: milliseconds,
  failureRateThreshold: share,
  slowCallRateThreshold: share,
  slowCallDurationMs: milliseconds,
  windowMs: milliseconds,
  minimumThroughput: [1, 1_000_000],
  quorum: [2, 16],
  successThreshold: [1, 1000],
  resetBackoff: backoff,
  rampUpMs: milliseconds,
  timeoutMs: timer,
  onOutage: ["throw", "local"],
  onOutageChange: callback,
  onError: callback,
  durability: ["default", "relaxed"],
  pruneIdleMs: milliseconds,
  maxCircuits: [100, 100_000_000],
  maxStalenessMs: (name, value) => value === 0 || timer(name, value),
  countWithinMs: timer,
  historyMs: milliseconds,
  historyRows: [1, 10_000_000],
  instanceId: (name, value) => textOf(ACTION, name, value, 1, MAX_ACTOR),
  waitUntil: callback,
  mode: ["enforce", "observe"],
};

/** The options of a store. */
export const STORE_OPTIONS: readonly StoreOption[] = Object.keys(DEMANDS) as StoreOption[];

/** Checks each option of a store by itself. */
export function assertStoreOptions(options: PostgresCircuitBreakerStoreOptions): void {
  assertOptions(ACTION, options, STORE_OPTIONS);
  for (const name of STORE_OPTIONS) {
    const value = options[name];
    if (value === undefined) continue;
    const demand = DEMANDS[name];
    if (typeof demand === "function") demand(name, value);
    else if (isRange(demand)) assertCount(ACTION, name, value, ...demand);
    else assertOneOf(ACTION, name, value, demand);
  }
}

function isRange(
  demand: readonly [number, number] | readonly string[],
): demand is readonly [number, number] {
  return typeof demand[0] === "number";
}

function callback(name: string, value: unknown): void {
  assertFunction(ACTION, name, value);
}

function milliseconds(name: string, value: unknown): void {
  assertMilliseconds(ACTION, name, value);
}

function timer(name: string, value: unknown): void {
  milliseconds(name, value);
  if (value as number <= MAX_TIMER) return;
  throw new RangeError(
    `Cannot ${ACTION}: "${name}" must be at most ${MAX_TIMER}, received ${value}`,
  );
}

function share(name: string, value: unknown): void {
  assertNumber(ACTION, name, value);
  if (value > 0 && value <= 1) return;
  throw new RangeError(
    `Cannot ${ACTION}: "${name}" must be a share above 0 and at most 1 (0.5 for half of the calls), ` +
      `received ${value}`,
  );
}

function backoff(name: string, value: unknown): void {
  assertOptions(ACTION, value, ["factor", "maxMs", "jitter"], name);
  const { factor = 1, maxMs, jitter = 0 } = value as Record<string, unknown>;
  range(`${name}.factor`, factor, 1, 1000);
  milliseconds(`${name}.maxMs`, maxMs);
  range(`${name}.jitter`, jitter, 0, 1);
}

function range(name: string, value: unknown, least: number, most: number): void {
  assertNumber(ACTION, name, value);
  if (value >= least && value <= most) return;
  throw new RangeError(
    `Cannot ${ACTION}: "${name}" must be a number from ${least} to ${most}, received ${value}`,
  );
}
