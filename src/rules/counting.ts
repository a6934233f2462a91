/**
 * Counting: counters saturate, and with `failureWindowMs` only the failures of the window count.
 * A row remembers the times of its last failures: enough to decide, and enough to show.
 */

import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { MAX_COUNT } from "../types.ts";

/** The columns of this rule, beside the counters that the original table has. */
export const COUNTING_COLUMNS: readonly string[] = [
  "recent_failures bigint[] not null default '{}'",
];

/** The part of a circuit that counts. */
export interface Counted {
  failureCount: number;
  /** When failures were recorded, the latest first, where only those of a window count. */
  recentFailures: readonly number[];
}

/** How many failure times a row remembers at least, so that the counts that it shows are exact. */
const LEAST_CAPACITY = 1000;

/** How many failure times a row remembers. */
export function windowCapacity({ failureThreshold = 1 }: CircuitRules): number {
  return Math.max(failureThreshold, LEAST_CAPACITY);
}

/** A counter plus `added`, at most {@linkcode MAX_COUNT}. */
export function addCount(count: number, added: number): number {
  return Math.min(Math.min(count, MAX_COUNT) + added, MAX_COUNT);
}

/** SQL: the same. The inner bound is for counters that another program has set above the maximum. */
export function addCountSql(column: string, added: string): string {
  return `least(least(${column}, ${MAX_COUNT}) + ${added}, ${MAX_COUNT})`;
}

/**
 * Whether a failure is in the window. A time that lies ahead was stamped before the clock was set
 * back, so the distance decides: it bounds how long such a failure can count.
 */
function isInWindow(at: number, now: number, windowMs: number): boolean {
  return Math.abs(now - at) < windowMs;
}

/** How many failures count now. */
export function countFailures(circuit: Counted, now: number, rules: CircuitRules): number {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined) return circuit.failureCount;
  return circuit.recentFailures.filter((at) => isInWindow(at, now, failureWindowMs)).length;
}

/** SQL: how many failures of a row count now. */
export function countFailuresSql(row: string, now: string, rules: CircuitRules): string {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined) return `${row}.failure_count`;
  return `(
    select count(*) from pg_catalog.unnest(${row}.recent_failures) as failure (at),
      (select ${now} as now) as clock
    where abs(now - at) < ${failureWindowMs}
  )`;
}

/** The failure times that are remembered after `added` more failures. */
export function rememberFailures(
  recentFailures: readonly number[],
  added: number,
  now: number,
  rules: CircuitRules,
): number[] {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined || added === 0) return [...recentFailures];
  const capacity = windowCapacity(rules);
  const kept = recentFailures.filter((at) => isInWindow(at, now, failureWindowMs));
  const more = Array.from({ length: Math.min(added, capacity) }, () => now);
  return [...kept, ...more].sort((a, b) => b - a).slice(0, capacity);
}

/** SQL: the failure times that a row remembers after `added` more failures. */
export function rememberFailuresSql(
  row: string,
  added: string,
  now: string,
  rules: CircuitRules,
): string {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined) return `${row}.recent_failures`;
  const capacity = windowCapacity(rules);
  return `case when ${added} = 0 then ${row}.recent_failures else array(
    select at from (
      select at from pg_catalog.unnest(${row}.recent_failures) as failure (at), (select ${now} as now) as clock
      where abs(now - at) < ${failureWindowMs}
      union all
      select ${now} from generate_series(1::bigint, least(${added}, ${capacity}))
    ) as failure order by at desc limit ${capacity}
  ) end`;
}

/** SQL: the failure times of a new row. */
export function firstFailuresSql(added: string, now: string, rules: CircuitRules): string {
  return `pg_catalog.array_fill(${now}, array[least(${added}, ${windowCapacity(rules)})::int])`;
}

/** Whether successes that belong to a version of the circuit count: its counter was not zeroed since. */
export function isStillCounted(version: number, circuit: Pick<Circuit, "zeroedVersion">): boolean {
  return circuit.zeroedVersion <= version;
}

/** SQL: the same of a row. */
export function isStillCountedSql(version: string, row: string): string {
  return `(${row}.zeroed_version <= ${version})`;
}
