/**
 * Counting: counters saturate, and with `failureWindowMs` only the failures of the window count. A row
 * remembers the times of its last failures, at most a hundred, and counts those before by segments. Each
 * instance that records a failure keeps both, also one without a window.
 */

import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { MAX_COUNT } from "../types.ts";
import {
  addToSegments,
  addToSegmentsSql,
  cellsInWindow,
  cellsInWindowSql,
  clearSegments,
  clearSegmentsSql,
  firstSegmentsSql,
  type Segments,
  sumSegments,
  sumSegmentsSql,
} from "./segments.ts";

/** The columns of this rule, beside the counters that the original table has. */
export const COUNTING_COLUMNS: readonly string[] = [
  "recent_failures bigint[] not null default '{}'",
  "failure_capacity integer not null default 0",
  "failure_segments bigint[]",
  "call_segments bigint[]",
];

/** The part of a circuit that counts. */
export interface Counted {
  failureCount: number;
  /** When the last failures were recorded, the one that was recorded last first. */
  recentFailures: readonly number[];
  /** How many of these times are remembered: the most that an instance with a window asked for. */
  failureCapacity: number;
  /** Failures by segments, where an instance has `failureWindowMs`. */
  failureSegments: Segments | undefined;
  /** Calls by segments, of each segment all, failed and slow ones, where instances have rates. */
  callSegments: Segments | undefined;
}

/** What a circuit without any record counts. */
export const NOTHING_COUNTED: Readonly<Counted> = {
  failureCount: 0,
  recentFailures: [],
  failureCapacity: 0,
  failureSegments: undefined,
  callSegments: undefined,
};

/** How many failure times a row remembers at most. A threshold above is judged by segments. */
const MAX_CAPACITY = 100;

/** How many counts a segment of calls has: all calls, failed ones, slow ones. */
export const CALL_KINDS = 3;

/** How many failure times an instance needs. */
function windowCapacity({ failureThreshold = 1, failureWindowMs }: CircuitRules): number {
  return failureWindowMs === undefined ? 0 : Math.min(failureThreshold, MAX_CAPACITY);
}

/** How many failure times a row remembers from now on. The number only grows. */
function capacityAfter(capacity: number, rules: CircuitRules): number {
  return Math.max(capacity, windowCapacity(rules));
}

/** SQL: the same. */
function capacityAfterSql(column: string, rules: CircuitRules): string {
  const capacity = windowCapacity(rules);
  return capacity === 0 ? column : `greatest(${column}, ${capacity})`;
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

/**
 * How many failures count now. Where all times that are remembered lie in the window, there may be more
 * failures: the segments know how many, as far as they lie in the window for certain.
 */
export function countFailures(circuit: Counted, now: number, rules: CircuitRules): number {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined) return circuit.failureCount;
  const { recentFailures, failureSegments } = circuit;
  const failures = recentFailures.filter((at) => isInWindow(at, now, failureWindowMs)).length;
  if (failures === 0 || failures < recentFailures.length || failureSegments === undefined) {
    return failures;
  }
  const cells = cellsInWindow(failureSegments, now, failureWindowMs);
  return Math.max(failures, sumSegments(failureSegments, cells));
}

/** SQL: how many failures of a row count now. */
export function countFailuresSql(row: string, now: string, rules: CircuitRules): string {
  const { failureWindowMs } = rules;
  if (failureWindowMs === undefined) return `${row}.failure_count`;
  const segments = `${row}.failure_segments`;
  return `(case when pg_catalog.cardinality(${row}.recent_failures) = 0 then 0 else (
    select case when counted.failures < pg_catalog.cardinality(${row}.recent_failures) then counted.failures
      else greatest(counted.failures, ${sumSegmentsSql(segments, "counted.cells")}) end
    from (
      select times.failures, ${cellsInWindowSql(segments, "times.now", failureWindowMs)} as cells
      from (
        select count(*) as failures, max(clock.now) as now
        from (select ${now} as now) as clock, pg_catalog.unnest(${row}.recent_failures) as failure (at)
        where abs(clock.now - failure.at) < ${failureWindowMs}
      ) as times offset 0
    ) as counted
  ) end)`;
}

/** Whether the last failures, as many as `failures` says, all lie in the window. */
export function areLastInWindow(
  { recentFailures }: Pick<Counted, "recentFailures">,
  failures: number,
  now: number,
  windowMs: number,
): boolean {
  return recentFailures.length >= failures &&
    recentFailures.slice(0, failures).every((at) => isInWindow(at, now, windowMs));
}

/** SQL: the same. The times are looked at one by one only where the oldest of them is in the window. */
export function areLastInWindowSql(
  row: string,
  failures: number,
  now: string,
  windowMs: number,
): string {
  const times = `${row}.recent_failures`;
  return `case when abs(${now} - ${times}[${failures}]) < ${windowMs} then (
      select pg_catalog.bool_and(abs(clock.now - failure.at) < ${windowMs})
      from (select ${now} as now) as clock, pg_catalog.unnest(${times}[1:${failures}]) as failure (at)
    ) else false end`;
}

/**
 * The failure times that are remembered after `added` more failures: the last ones in the order in which
 * they were recorded. So a failure costs the same however many there are.
 */
function rememberFailures(
  recentFailures: readonly number[],
  capacity: number,
  added: number,
  now: number,
): number[] {
  if (added === 0) return [...recentFailures];
  const more: number[] = Array(Math.min(added, capacity)).fill(now);
  return more.concat(recentFailures).slice(0, capacity);
}

/** SQL: the same. */
function rememberFailuresSql(
  times: string,
  capacity: string,
  added: string,
  now: string,
): string {
  return `case when ${added} = 0 then ${times} else (pg_catalog.array_cat(
      ${firstFailuresSql(capacity, added, now)}, ${times}))[1:${capacity}] end`;
}

/** SQL: the failure times of a new row. */
function firstFailuresSql(capacity: string, added: string, now: string): string {
  return `pg_catalog.array_fill(${now}, array[least(${added}, ${capacity})::int])`;
}

/** Results of one circuit that are counted together. */
export interface Results {
  readonly failures: number;
  readonly successes: number;
  /** How many of both were slow; absent for none. */
  readonly slow?: number;
}

/** What a circuit counts after more results. Calls are counted by instances with rates only. */
export function countResults(
  counted: Counted,
  { failures, successes, slow = 0 }: Results,
  now: number,
  rules: CircuitRules,
): Counted {
  const { failureWindowMs, trip: { rates } } = rules;
  const failureCapacity = capacityAfter(counted.failureCapacity, rules);
  const { recentFailures, failureSegments, callSegments } = counted;
  return {
    failureCount: addCount(counted.failureCount, failures),
    recentFailures: failureCapacity === 0
      ? recentFailures
      : rememberFailures(recentFailures, failureCapacity, failures, now),
    failureCapacity,
    failureSegments: failures === 0
      ? failureSegments
      : addToSegments(failureSegments, now, failureWindowMs, [failures]),
    callSegments: rates === undefined ? callSegments : addToSegments(
      callSegments,
      now,
      rates.windowMs,
      [failures + successes, failures, slow],
    ),
  };
}

/** SQL: the columns of a row that count failures and calls, after more results. */
export function countResultsSql(
  row: string,
  added: { failures: string; successes: string; slow: string },
  now: string,
  rules: CircuitRules,
): Record<string, string> {
  const { failureWindowMs, trip: { rates } } = rules;
  const { failures, successes, slow } = added;
  const capacity = capacityAfterSql(`${row}.failure_capacity`, rules);
  const remembered = rememberFailuresSql(`${row}.recent_failures`, capacity, failures, now);
  const segments = addToSegmentsSql(`${row}.failure_segments`, now, failureWindowMs, [failures]);
  return {
    failure_count: addCountSql(`${row}.failure_count`, failures),
    recent_failures: failureWindowMs === undefined
      ? `case when ${row}.failure_capacity = 0 then ${row}.recent_failures else ${remembered} end`
      : remembered,
    ...failureWindowMs !== undefined && { failure_capacity: capacity },
    failure_segments: `case when ${failures} = 0 then ${row}.failure_segments else ${segments} end`,
    ...rates !== undefined && {
      call_segments: addToSegmentsSql(`${row}.call_segments`, now, rates.windowMs, [
        `(${failures} + ${successes})`,
        failures,
        slow,
      ]),
    },
  };
}

/** SQL: the same columns of a new row. */
export function firstResultsSql(
  { failures, successes, slow }: { failures: string; successes: string; slow: string },
  now: string,
  rules: CircuitRules,
): Record<string, string> {
  const { failureWindowMs, trip: { rates } } = rules;
  const capacity = `${windowCapacity(rules)}`;
  return {
    failure_count: failures,
    ...failureWindowMs !== undefined && {
      recent_failures: firstFailuresSql(capacity, failures, now),
      failure_capacity: capacity,
      failure_segments: `case when ${failures} > 0 then ${
        firstSegmentsSql(now, failureWindowMs, [failures])
      } end`,
    },
    ...rates !== undefined && {
      call_segments: firstSegmentsSql(now, rates.windowMs, [
        `(${failures} + ${successes})`,
        failures,
        slow,
      ]),
    },
  };
}

/** What a circuit counts of failures and calls once they are zeroed. */
export function zeroFailures(counted: Counted): Omit<Counted, "failureCapacity"> {
  return {
    failureCount: 0,
    recentFailures: [],
    failureSegments: clearSegments(counted.failureSegments),
    callSegments: clearSegments(counted.callSegments),
  };
}

/** SQL: the same columns of a row. */
export function zeroFailuresSql(row: string): Record<string, string> {
  return {
    failure_count: "0",
    recent_failures: "'{}'",
    failure_segments: clearSegmentsSql(`${row}.failure_segments`, 1),
    call_segments: clearSegmentsSql(`${row}.call_segments`, CALL_KINDS),
  };
}

/** Whether successes that belong to a version of the circuit count: its counter was not zeroed since. */
export function isStillCounted(version: number, circuit: Pick<Circuit, "zeroedVersion">): boolean {
  return circuit.zeroedVersion <= version;
}

/** SQL: the same of a row. */
export function isStillCountedSql(version: string, row: string): string {
  return `(${row}.zeroed_version <= ${version})`;
}
