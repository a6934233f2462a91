/**
 * Recording calls of a healthy circuit where the store judges rates. A gateway sends this all day, so it
 * does the least: it adds to the newest segment of a row that is there, and only where that makes the
 * circuit not due to open. It writes nothing otherwise, and returns nothing. The statement that judges and
 * opens (`record_and_trip.ts`) then records instead.
 */

import type { Circuit } from "../../circuit.ts";
import type { RateRules } from "../../options/rule_options.ts";
import { addCountSql, countResultsSql } from "../../rules/counting.ts";
import { addToNewestSql, isNewestNowSql } from "../../rules/segments.ts";
import { storedStateSql } from "../../rules/state.ts";
import { isRateDueAfterSql } from "../../rules/tripping.ts";
import { packCircuit, toCircuits } from "../codec.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";
import type { Tally } from "./record.ts";

/** Adds calls to a row, of which `hasFailures` says whether some failed. */
export function addCallsStatement(
  context: StatementContext,
  rates: RateRules,
  hasFailures: boolean,
): Statement<[tally: Tally], Circuit[]> {
  const { table, rules, now } = context;
  const [successes, slow] = [1, 2].map((i) => `${context.param(i)}::bigint`);
  const failures = hasFailures ? `${context.param(3)}::bigint` : "0";
  const calls = hasFailures ? `(${failures} + ${successes})` : successes!;
  const added = [calls, failures, slow!];
  const { failureThreshold, failureWindowMs } = rules;
  const due = [isRateDueAfterSql("c.call_segments", added, rates)];
  // A threshold of failures in a window is judged by the other statement alone.
  if (failureThreshold !== undefined && failureWindowMs === undefined) {
    due.push(`c.failure_count + ${failures} >= ${failureThreshold}`);
  }
  const counted = countResultsSql(
    "c",
    { failures, successes: successes!, slow: slow! },
    "clock.now",
    { ...rules, trip: { ...rules.trip, rates: undefined } },
  );
  const columns: { [column: string]: string } = {
    ...hasFailures && { ...counted, last_failure_time: now },
    success_count: addCountSql("c.success_count", successes!),
    updated_at: now,
    call_segments: addToNewestSql("c.call_segments", added),
  };
  const assignments = Object.entries(columns).map(([column, value]) => `${column} = ${value}`);
  return {
    action: "record result",
    text: `update ${table.quoted} as c set
  ${assignments.join(",\n  ")}
from (select ${now} as now offset 0) as clock
where c.key = ${context.param(0)}
  and ${isNewestNowSql("c.call_segments", "clock.now", rates.windowMs)}
  and not (${storedStateSql("c")} = 'closed' and (${due.join(" or ")}))
returning ${packCircuit(context, "c.updated_at")}${context.relaxation}`,
    encode: ({ key, failures, successes, slow = 0 }) => [
      key,
      `${successes}`,
      `${slow}`,
      ...hasFailures ? [`${failures}`] : [],
    ],
    decode: (rows, { key }) => toCircuits(rows, key),
    timeOf,
  };
}
