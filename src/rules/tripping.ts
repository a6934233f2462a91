/**
 * Tripping: when a closed circuit is due to open. Either the caller decides when it opens, or the store
 * does (`trip`): then the statement that records a result opens the circuit, and a caller's move to open
 * applies only to a circuit that is due.
 *
 * Where the store admits probes, two rules bind the caller. A late result of a probe opens only a circuit
 * that is due to open. A straggler, which is a late move to open, does not open a circuit that is not
 * closed.
 */

import type { RateRules } from "../options/rule_options.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { areLastInWindow, areLastInWindowSql, CALL_KINDS, type Counted } from "./counting.ts";
import {
  addToNewest,
  cellsAfterAdding,
  cellsInWindow,
  cellsInWindowSql,
  type Segments,
  sumAfter,
  sumSegments,
  sumSegmentsSql,
} from "./segments.ts";
import { storedStateSql } from "./state.ts";

/** The columns of this rule. `trips` says whether the last record that judged the row changed it. */
export const TRIPPING_COLUMNS: readonly string[] = [
  "trips boolean not null default false",
  "suspect_at bigint not null default 0",
];

/** A circuit as this rule reads it. */
export type Judged = Counted & { state: CircuitState };

/** Whether a closed circuit is due to open. */
export function isTripDue(circuit: Judged, now: number, rules: CircuitRules): boolean {
  // With a quorum only votes open the fleet's circuit.
  return rules.quorum === undefined && circuit.state === "closed" &&
    (isThresholdDue(circuit, now, rules) || isRateDue(circuit, now, rules));
}

/** SQL: whether the closed circuit of a row is due to open. */
export function isTripDueSql(row: string, now: string, rules: CircuitRules): string {
  if (rules.quorum !== undefined) return "false";
  const conditions = [isThresholdDueSql(row, now, rules), isRateDueSql(row, now, rules)]
    .filter((condition) => condition !== "false");
  if (conditions.length === 0) return "false";
  return `(${storedStateSql(row)} = 'closed' and (${conditions.join(" or ")}))`;
}

/**
 * Whether enough failures count to open a circuit. The times of the last failures decide, where enough of
 * them are remembered; otherwise segments do.
 */
export function isThresholdDue(circuit: Counted, now: number, rules: CircuitRules): boolean {
  const { failureThreshold, failureWindowMs } = rules;
  if (failureThreshold === undefined) return false;
  if (failureWindowMs === undefined) return circuit.failureCount >= failureThreshold;
  if (circuit.recentFailures.length >= failureThreshold) {
    return areLastInWindow(circuit, failureThreshold, now, failureWindowMs);
  }
  const { failureSegments: segments } = circuit;
  return segments !== undefined &&
    sumSegments(segments, cellsInWindow(segments, now, failureWindowMs)) >= failureThreshold;
}

/** SQL: the same of a row. */
export function isThresholdDueSql(row: string, now: string, rules: CircuitRules): string {
  const { failureThreshold, failureWindowMs } = rules;
  if (failureThreshold === undefined) return "false";
  if (failureWindowMs === undefined) return `${row}.failure_count >= ${failureThreshold}`;
  const segments = `${row}.failure_segments`;
  return `case when ${row}.recent_failures[${failureThreshold}] is not null
    then ${areLastInWindowSql(row, failureThreshold, now, failureWindowMs)}
    else (select ${sumSegmentsSql(segments, "w.cells")} >= ${failureThreshold}
      from (select ${
    cellsInWindowSql(segments, "clock.now", failureWindowMs)
  } as cells from (select ${now} as now) as clock offset 0) as w) end`;
}

/** Whether so large a share of the calls has failed, or was slow, that a circuit is due to open. */
export function isRateDue(
  { callSegments }: Pick<Counted, "callSegments">,
  now: number,
  { trip: { rates } }: Pick<CircuitRules, "trip">,
): boolean {
  if (rates === undefined || callSegments === undefined) return false;
  return areSharesDue(callSegments, cellsInWindow(callSegments, now, rates.windowMs), rates);
}

/** SQL: the same of a row. */
export function isRateDueSql(
  row: string,
  now: string,
  { trip: { rates } }: Pick<CircuitRules, "trip">,
): string {
  if (rates === undefined) return "false";
  const segments = `${row}.call_segments`;
  return `(select ${areSharesDueSql(segments, "w.cells", rates)} from (
      select ${cellsInWindowSql(segments, "clock.now", rates.windowMs)} as cells
      from (select ${now} as now) as clock offset 0
    ) as w)`;
}

/** Whether the newest cells hold enough calls, and so large a share of failed or slow ones. */
export function areSharesDue(segments: Segments, cells: number, rates: RateRules): boolean {
  const sum = (kind: number) => sumSegments(segments, cells, kind, CALL_KINDS);
  const calls = sum(0);
  if (calls < rates.minimumThroughput) return false;
  // A quotient is rounded like the option itself: 7 of 100 are 0.07, and 0.07 * 100 is more than 7.
  return sharesOf(rates).some(({ share, kind }) => sum(kind) / calls >= share);
}

/** SQL: the same. */
export function areSharesDueSql(segments: string, cells: string, rates: RateRules): string {
  return dueSql((kind) => sumSegmentsSql(segments, cells, kind, CALL_KINDS), rates);
}

function dueSql(sum: (kind: number) => string, rates: RateRules): string {
  const shares = sharesOf(rates).map(({ share, kind }) =>
    `${sum(kind)}::double precision / ${sum(0)}::double precision >= ${share}::double precision`
  );
  return `case when ${sum(0)} >= ${rates.minimumThroughput} then ${
    shares.join(" or ")
  } else false end`;
}

/** Whether a rate is due after calls were added to the newest segment, which is that of now. */
export function isRateDueAfter(
  segments: Segments,
  added: readonly number[],
  rates: RateRules,
): boolean {
  const cells = cellsAfterAdding(undefined, 0, rates.windowMs);
  return areSharesDue(addToNewest(segments, added), cells, rates);
}

/**
 * SQL: the same, where there are segments. It makes no array, because it is asked for each call of a
 * healthy circuit.
 */
export function isRateDueAfterSql(
  segments: string,
  added: readonly string[],
  rates: RateRules,
): string {
  const cells = cellsAfterAdding(undefined, 0, rates.windowMs);
  return dueSql((kind) => sumAfter(segments, cells, added, kind), rates);
}

/** What each rate compares: the kind of calls, and their share. */
function sharesOf({ failureRate, slowRate }: RateRules): { kind: number; share: number }[] {
  return [{ kind: 1, share: failureRate }, { kind: 2, share: slowRate }].flatMap(
    ({ kind, share }) => share === undefined ? [] : [{ kind, share }],
  );
}

/** Whether a caller's move would open a circuit that is not due, where the store decides. */
export function isPremature(
  circuit: Judged,
  to: CircuitState,
  now: number,
  rules: CircuitRules,
): boolean {
  return rules.trip.isByStore && to === "open" && circuit.state === "closed" &&
    !isTripDue(circuit, now, rules);
}

/** SQL: whether a caller's move of a row is premature. `isDue` says whether the row is due to open. */
export function isPrematureSql(
  row: string,
  to: string,
  now: string,
  rules: CircuitRules,
  isDue: string = isTripDueSql(row, now, rules),
): string {
  if (!rules.trip.isByStore) return "false";
  return `(${to} = 'open' and ${storedStateSql(row)} = 'closed' and not ${isDue})`;
}

/** Whether a caller's move comes too late: it would open a circuit that is probed by others. */
export function isStraggler(from: CircuitState, to: CircuitState, rules: CircuitRules): boolean {
  return rules.probing !== undefined && to === "open" && from !== "closed";
}

/** SQL: whether a caller's move of a row comes too late. */
export function isStragglerSql(row: string, to: string, rules: CircuitRules): string {
  return rules.probing === undefined
    ? "false"
    : `(${to} = 'open' and ${storedStateSql(row)} <> 'closed')`;
}
