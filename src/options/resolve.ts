import { describe } from "../describe.ts";
import { isOptions } from "../option_names.ts";
import { readableText } from "./check.ts";
import { assertNeeds, resolveRules } from "./resolve_rules.ts";
import { ACTION, assertStoreOptions, type StoreOption } from "./store_checks.ts";
import type {
  CircuitRules,
  OutageChange,
  PostgresCircuitBreakerStoreOptions,
} from "./store_options.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The options that the store in memory checks and ignores. */
export const IGNORED_IN_MEMORY: readonly StoreOption[] = [
  "table",
  "timeoutMs",
  "onOutage",
  "onOutageChange",
  "onError",
  "durability",
  "pruneIdleMs",
  "maxCircuits",
  "maxStalenessMs",
  "countWithinMs",
  "waitUntil",
];

/** A store's own options after validation. */
export interface ResolvedOptions {
  /** The name as it was given. Only a store on PostgreSQL parses it. */
  table: string | undefined;
  now: (() => number) | undefined;
  rules: CircuitRules;
  timeoutMs: number;
  onOutage: "throw" | "local";
  onOutageChange: ((change: OutageChange) => void) | undefined;
  onError: ((error: Error) => void) | undefined;
  durability: "default" | "relaxed";
  pruneIdleMs: number | undefined;
  maxCircuits: number | undefined;
  /** 0 where each call asks the database. */
  maxStalenessMs: number;
  /** How long a success may wait to be counted, where there is a cache. */
  countWithinMs: number;
  historyMs: number;
  historyRows: number;
  /** The label of the instance; `undefined` for a random one. */
  instanceId: string | undefined;
  waitUntil: ((work: Promise<unknown>) => void) | undefined;
  /** Whether the store refuses no call. */
  isObserving: boolean;
  /** Whether circuits open at all: by a rule of the store, or by callers, as `trip` says. */
  hasTrip: boolean;
}

/**
 * Distinguishes the two forms of a store's arguments: `(table, options)`, where either may be
 * missing, and `(options)`.
 */
export function storeArguments<Options extends object>(
  tableOrOptions: string | Options | undefined,
  options: Options | undefined,
): [table: string | undefined, options: Options] {
  if (!isOptions(tableOrOptions)) {
    return [tableOrOptions as string | undefined, options === undefined ? {} as Options : options];
  }
  if (options === undefined) return [undefined, tableOrOptions];
  throw new TypeError(
    `Cannot ${ACTION}: "options" must be given once, received them as the second and third argument`,
  );
}

/** Checks the options of a store and fills in the defaults. */
export function resolveOptions(options: PostgresCircuitBreakerStoreOptions): ResolvedOptions {
  assertStoreOptions(options);
  const { now, table, timeoutMs = 1000, onOutage = "throw", onOutageChange, onError } = options;
  const { durability = "default", pruneIdleMs, maxCircuits, maxStalenessMs = 0 } = options;
  const { countWithinMs, historyMs = 30 * DAY_MS, historyRows = 100_000, instanceId } = options;
  assertNeeds("countWithinMs", countWithinMs, "maxStalenessMs", options.maxStalenessMs);
  const rules = resolveRules(options);
  if (options.waitUntil !== undefined) assertNoTimers(options);
  return {
    waitUntil: options.waitUntil,
    table,
    now,
    timeoutMs,
    onOutage,
    onOutageChange,
    onError,
    durability,
    pruneIdleMs: pruneIdleMs === undefined ? undefined : Math.ceil(pruneIdleMs),
    maxCircuits,
    maxStalenessMs,
    countWithinMs: countWithinMs ?? (rules.trip.rates === undefined ? 60_000 : 10_000),
    historyMs: Math.ceil(historyMs),
    historyRows,
    instanceId: instanceId && readableText(instanceId),
    isObserving: isObservingOf(options.mode, rules),
    hasTrip: options.trip !== undefined || rules.trip.isByStore,
    rules,
  };
}

/** What a store does at times of its own, and what to do about it where it has no timers. */
function assertNoTimers({ pruneIdleMs, maxCircuits, quorum }: PostgresCircuitBreakerStoreOptions) {
  for (const [name, value] of Object.entries({ pruneIdleMs, maxCircuits })) {
    if (value === undefined) continue;
    throw new TypeError(
      `Cannot ${ACTION}: "${name}" must be absent with "waitUntil", call prune() in a scheduled ` +
        `handler instead, received ${describe(value)}`,
    );
  }
  if (quorum === undefined) return;
  throw new TypeError(
    `Cannot ${ACTION}: "quorum" must be absent with "waitUntil", because an instance there does not ` +
      `live long enough to vote, received ${describe(quorum)}`,
  );
}

function isObservingOf(mode: string | undefined, { trip }: CircuitRules): boolean {
  if (mode !== "observe" || trip.isByStore) return mode === "observe";
  throw new TypeError(
    `Cannot ${ACTION}: "mode" needs a rule by which the store opens circuits, such as ` +
      `"failureRateThreshold", received "observe"`,
  );
}
