/**
 * Recording results. Rows are written in one order (by key, "C" collation) and in one pass, so that
 * two instances never deadlock. No key stands twice in a statement.
 */

import type { Circuit } from "../../circuit.ts";
import { addCountSql, countResultsSql, firstResultsSql } from "../../rules/counting.ts";
import { AGGREGATED, packCircuit, packKeyedCircuit, toCircuits } from "../codec.ts";
import { textArray } from "../text_array.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/** What is to be counted for one circuit. */
export interface Tally {
  key: string;
  failures: number;
  successes: number;
  /** How many of both were slow; absent for none. */
  slow?: number;
}

/** Results to add, as expressions. */
type Results = Parameters<typeof firstResultsSql>[0];

/** The results of the row that was not inserted. */
const RESULTS: Results = {
  failures: "excluded.failure_count",
  successes: "excluded.success_count",
  slow: "0",
};

type Record<Args extends unknown[]> = Statement<Args, Circuit[]>;

/** Counts failures and successes of several circuits. */
export function recordStatement(context: StatementContext): Record<[tallies: readonly Tally[]]> {
  return {
    action: "record results",
    text: `with written as (${insertCounts(context)}
select key, ${counts(context, { failures: "failures", successes: "successes", slow: "0" })}
from unnest(
  ${context.param(0)}::text[], ${context.param(1)}::bigint[], ${context.param(2)}::bigint[]
) as call (key, failures, successes)
order by key collate "C"
${addCounts(context)}
returning ${packKeyedCircuit(context)}${context.relaxation})
select ${AGGREGATED} from written`,
    encode: (tallies) => [
      textArray(tallies.map(({ key }) => key)),
      textArray(tallies.map(({ failures }) => failures)),
      textArray(tallies.map(({ successes }) => successes)),
    ],
    decode: (rows) => toCircuits(rows),
    timeOf,
  };
}

/** Counts failures and successes of one circuit. */
export function recordOneStatement(context: StatementContext): Record<[tally: Tally]> {
  const results = {
    failures: `${context.param(1)}::bigint`,
    successes: `${context.param(2)}::bigint`,
    slow: "0",
  };
  return {
    action: "record result",
    text: `${insertCounts(context)}
values (${context.param(0)}, ${counts(context, results)})
${addCounts(context)}
returning ${packCircuit(context)}${context.relaxation}`,
    encode: ({ key, failures, successes }) => [key, `${failures}`, `${successes}`],
    decode: (rows, { key }) => toCircuits(rows, key),
    timeOf,
  };
}

/** Counts successes of several circuits: the form without failures. */
export function recordSuccessesStatement(
  context: StatementContext,
): Record<[tallies: readonly Tally[]]> {
  return {
    action: "record successes",
    text: `with written as (${insertSuccesses(context)}
select key, successes, ${context.statementTime}
from unnest(${context.param(0)}::text[], ${context.param(1)}::bigint[]) as call (key, successes)
order by key collate "C"
${addSuccesses()}
returning ${packKeyedCircuit(context, "c.updated_at")}${context.relaxation})
select ${AGGREGATED} from written`,
    encode: (tallies) => [
      textArray(tallies.map(({ key }) => key)),
      textArray(tallies.map(({ successes }) => successes)),
    ],
    decode: (rows) => toCircuits(rows),
    timeOf,
  };
}

/** Counts successes of one circuit, whether or not it has a row. */
export function recordOneSuccessesStatement(context: StatementContext): Record<[tally: Tally]> {
  return {
    action: "record successes",
    text: `${insertSuccesses(context)}
values (${context.param(0)}, ${context.param(1)}::bigint, ${context.now})
${addSuccesses()}
returning ${packCircuit(context, "c.updated_at")}${context.relaxation}`,
    encode: ({ key, successes }) => [key, `${successes}`],
    decode: (rows, { key }) => toCircuits(rows, key),
    timeOf,
  };
}

/**
 * Adds one success, or several, to a row. Returns nothing for a key without a row. A healthy gateway
 * sends this all day: an insert that finds its row costs the server more, and so does a second
 * parameter cost the driver.
 */
export function addSuccessesStatement(
  context: StatementContext,
  isOne: boolean,
): Record<[tally: Tally]> {
  const successes = isOne ? "1" : `${context.param(1)}::bigint`;
  return {
    action: isOne ? "record success" : "record successes",
    text: `update ${context.table.quoted} as c set
  success_count = ${addCountSql("c.success_count", successes)}, updated_at = ${context.now}
where key = ${context.param(0)}
returning ${packCircuit(context, "c.updated_at")}${context.relaxation}`,
    encode: isOne ? ({ key }) => [key] : ({ key, successes }) => [key, `${successes}`],
    decode: (rows, { key }) => toCircuits(rows, key),
    timeOf,
  };
}

function insertSuccesses({ table }: StatementContext): string {
  return `insert into ${table.quoted} as c (key, success_count, updated_at)`;
}

function addSuccesses(): string {
  return `on conflict (key) do update set
  success_count = ${addCountSql("c.success_count", "excluded.success_count")},
  updated_at = excluded.updated_at`;
}

function insertCounts({ table, rules }: StatementContext): string {
  const counted = Object.keys(firstResultsSql(RESULTS, "", rules));
  return `insert into ${table.quoted} as c
  (key, success_count, last_failure_time, updated_at, ${counted.join(", ")})`;
}

/** The values of a new row, in the order of these columns. */
function counts({ now, rules }: StatementContext, results: Results): string {
  const { failures, successes } = results;
  const counted = Object.values(firstResultsSql(results, now, rules));
  return `${successes}, case when ${failures} > 0 then ${now} else 0 end, ${now}, ${
    counted.join(", ")
  }`;
}

function addCounts({ rules, now }: StatementContext): string {
  // The times of failures are those of the call: a wait for the lock makes none of them later.
  const counted = Object.entries(countResultsSql("c", RESULTS, "excluded.updated_at", rules));
  return `on conflict (key) do update set
  success_count = ${addCountSql("c.success_count", "excluded.success_count")},
  last_failure_time =
    case when excluded.failure_count > 0 then ${now} else c.last_failure_time end,
  updated_at = ${now},
  ${counted.map(([column, value]) => `${column} = ${value}`).join(",\n  ")}`;
}
