/** The verdict on a closed circuit, where the store decides when it opens. */

import { judgeSuspicionSql, SEEN_WITHIN_MS } from "../../rules/suspicion.ts";
import { isRateDueSql, isThresholdDueSql, isTripDueSql } from "../../rules/tripping.ts";
import { TOKEN_ID } from "../catalogue.ts";
import type { StatementContext } from "./context.ts";

/**
 * SQL: what is done with a closed circuit: `trip`, `suspect`, `wait`, or null where it is not due. Rates
 * are judged in view of the instances that count successes later.
 *
 * @param counted What has the counters of the row.
 * @param isRateDue Whether a rate is due, where the statement knows that already.
 */
export function verdictSql(
  context: StatementContext,
  now: string,
  counted: string,
  isRateDue: string = isRateDueSql(counted, now, context.rules),
): string {
  const { rules } = context;
  const cases = [
    [isThresholdDueSql(counted, now, rules), "'trip'"],
    [isRateDue, suspicionSql(context, now)],
  ].filter(([condition]) => condition !== "false");
  return `case ${
    cases.map(([condition, verdict]) => `when ${condition} then ${verdict}`).join("\n    ")
  } end`;
}

/** SQL: whether a row is due to open for a caller's move or a late result, with nothing to wait for. */
export function isTripDecidedSql(context: StatementContext, now: string): string {
  const { rules } = context;
  const isDue = isTripDueSql("c", now, rules);
  if (rules.trip.rates === undefined) return isDue;
  return `(${isDue} and (${isThresholdDueSql("c", now, rules)}
    or ${suspicionSql(context, now)} = 'trip'))`;
}

/** SQL: what is done where a rate is due, in view of the instances that were seen lately. */
function suspicionSql(
  { table, rules: { trip: { rates } } }: StatementContext,
  now: string,
): string {
  if (rates === undefined) return "null";
  const boundMs = "coalesce(max(i.bound_ms), 0)";
  return `(select ${judgeSuspicionSql("c.suspect_at", now, boundMs, rates)}
      from ${table.instances.quoted} as i
      where i.seen_at > ${now} - ${SEEN_WITHIN_MS} and i.id <> '${TOKEN_ID}')`;
}
