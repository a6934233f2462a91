/**
 * The SQL of the statements that read, count, list and reset. All are set-based: arrays go in, and
 * rows are written in one order (by key, "C" collation), so that two instances never deadlock.
 *
 * Parameters are text and cast here, so that every driver sends and returns the same.
 */

import { MAX_COUNT } from "../types.ts";
import { columns, effectiveState, keyedColumns, NOW, type StatementContext } from "./sql_parts.ts";

/** `$2` keys. Returns a row for each key that has one. */
export function readStatement(context: StatementContext): string {
  return `select ${keyedColumns(context)} from ${context.table.quoted} as circuit
where key = any($2::text::text[])`;
}

/** `$2` the key: the form for a lone key, which is cheaper to run. */
export function readOneStatement(context: StatementContext): string {
  return `select ${columns(context)} from ${context.table.quoted} as circuit where key = $2::text`;
}

/** `$2` keys, `$3` failures and `$4` successes to add, key by key; no key twice. */
export function recordStatement(context: StatementContext): string {
  return `${insertCounts(context)}
select key, failures, successes, ${failureTime("failures")}, ${NOW}${
    failureTimes(context, "failures")
  }
from unnest($2::text::text[], $3::text::bigint[], $4::text::bigint[]) as call (key, failures, successes)
order by key collate "C"
${addCounts(context)}
returning ${keyedColumns(context)}`;
}

/** `$2` the key, `$3` failures and `$4` successes to add: the form for a lone key. */
export function recordOneStatement(context: StatementContext): string {
  const failures = "$3::text::bigint";
  return `${insertCounts(context)}
values ($2::text, ${failures}, $4::text::bigint, ${failureTime(failures)}, ${NOW}${
    failureTimes(context, failures)
  })
${addCounts(context)}
returning ${columns(context)}`;
}

/** `$2` the key, `$3` successes to add: the form for what a healthy gateway does all day. */
export function recordSuccessStatement(context: StatementContext): string {
  return `insert into ${context.table.quoted} as circuit (key, success_count, updated_at)
values ($2::text, $3::text::bigint, ${NOW})
on conflict (key) do update set
  success_count = ${saturated("success_count")},
  updated_at = excluded.updated_at
returning ${columns(context)}`;
}

function insertCounts({ table, rules }: StatementContext): string {
  return `insert into ${table.quoted} as circuit
  (key, failure_count, success_count, last_failure_time, updated_at${
    rules.failureWindowMs === undefined ? "" : ", recent_failures"
  })`;
}

function failureTime(failures: string): string {
  return `case when ${failures} > 0 then ${NOW} else 0 end`;
}

function failureTimes({ rules }: StatementContext, failures: string): string {
  if (rules.failureWindowMs === undefined) return "";
  return `, array_fill(${NOW}, array[least(${failures}, ${windowCapacity(rules)})::int])`;
}

function addCounts({ rules }: StatementContext): string {
  return `on conflict (key) do update set
  failure_count = ${saturated("failure_count")},
  success_count = ${saturated("success_count")},
  last_failure_time =
    case when excluded.failure_count > 0 then ${NOW} else circuit.last_failure_time end,
  updated_at = ${NOW}${
    rules.failureWindowMs === undefined ? "" : `,
  recent_failures = ${keptFailures(rules.failureWindowMs, windowCapacity(rules))}`
  }`;
}

// The inner bound is for a counter that somebody else set beyond ours: adding to 2^63 - 1 fails.
function saturated(counter: string): string {
  return `least(least(circuit.${counter}, ${MAX_COUNT}) + excluded.${counter}, ${MAX_COUNT})`;
}

/** The failures that a row remembers: those of the window, the newest first to stay. */
function keptFailures(windowMs: number, capacity: number): string {
  return `case when excluded.failure_count = 0 then circuit.recent_failures else array(
    select at from (
      select at from unnest(circuit.recent_failures) as failure (at), (select ${NOW} as now) clock
      where abs(now - at) < ${windowMs}
      union all
      select ${NOW} from generate_series(1, least(excluded.failure_count, ${capacity}))
    ) as failure order by at desc limit ${capacity}
  ) end`;
}

/** How many failures a row remembers: enough to decide, and to be exact where people look. */
function windowCapacity({ failureThreshold = 1 }: StatementContext["rules"]): number {
  return Math.max(failureThreshold, 1000);
}

/** `$1` keys. */
export function resetStatement({ table }: StatementContext): string {
  return `with circuit as (
  select key from ${table.quoted} where key = any($1::text::text[])
  order by key collate "C" for update
)
delete from ${table.quoted} as doomed using circuit where doomed.key = circuit.key`;
}

/** `$2` state or null, `$3` limit, `$4` the key to start after, where there is one. */
export function listStatement(context: StatementContext, hasCursor: boolean): string {
  return `select ${keyedColumns(context)}
from ${context.table.quoted} as circuit
where ($2::text is null or ${effectiveState("circuit")} = $2::text)${
    hasCursor ? ' and key collate "C" > $4::text' : ""
  }
order by key collate "C" limit $3::text::int`;
}
