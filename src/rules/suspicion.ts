/**
 * Suspicion: an instance with a cache counts successes later than failures, so that a rate can seem due
 * although it is not. Where such instances live, a rate that is due makes the circuit suspect. Every
 * instance hears of it from the log, and counts its successes of this circuit at once. A later record
 * decides.
 */

import type { RateRules } from "../options/rule_options.ts";

/** The instances that decide how long suspicion lasts are those that were seen within this time. */
export const SEEN_WITHIN_MS = 180_000;

/**
 * What a record does where a rate is due: opens the circuit, makes it suspect, or waits.
 *
 * @param boundMs The largest bound of staleness of a living instance.
 */
export function judgeSuspicion(
  suspectAt: number,
  now: number,
  boundMs: number,
  rates: RateRules,
): "trip" | "suspect" | "wait" {
  if (boundMs === 0) return "trip";
  const age = Math.abs(now - suspectAt);
  if (suspectAt === 0 || age > rates.windowMs) return "suspect";
  return age >= Math.min(2 * boundMs, halfOf(rates)) ? "trip" : "wait";
}

/** SQL: the same. */
export function judgeSuspicionSql(
  suspectAt: string,
  now: string,
  boundMs: string,
  rates: RateRules,
): string {
  return `case when ${boundMs} = 0 then 'trip'
    when ${suspectAt} = 0 or abs(${now} - ${suspectAt}) > ${rates.windowMs} then 'suspect'
    when abs(${now} - ${suspectAt}) >= least(2 * ${boundMs}, ${halfOf(rates)}) then 'trip'
    else 'wait' end`;
}

/** Suspicion ends with the window, so it has to decide before that, however large a bound is. */
function halfOf({ windowMs }: RateRules): number {
  return Math.floor(windowMs / 2);
}
