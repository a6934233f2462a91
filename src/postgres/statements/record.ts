/**
 * The SQL of the statements that read, count, list and reset. All are set-based: arrays go in, and
 * rows are written in one order (by key, "C" collation), so that two instances never deadlock.
 *
 * Parameters are text and cast here, so that every driver sends and returns the same.
 */

import { MAX_COUNT } from "../../types.ts";
import type { TableName } from "../identifier.ts";
import { AGGREGATED, columns, keyedColumns } from "../codec.ts";
import { BY_INDEX, effectiveState, type StatementContext } from "../sql_parts.ts";

/** Parameters: keys. Returns the circuits that there are. */
export function readStatement(context: StatementContext): string {
  return `select ${AGGREGATED} from (${readRows(context)}) as found`;
}

function readRows(context: StatementContext): string {
  return `select ${keyedColumns(context, once(context))}
from ${context.table.quoted} c where key = any(${context.param(0)}::text[])
and ${BY_INDEX}`;
}

/** Parameters: the key. The form for a lone key, which is cheaper to run. */
export function readOneStatement(context: StatementContext): string {
  return `select ${columns(context)}
from ${context.table.quoted} c where key = ${context.param(0)}`;
}

/** Parameters: keys, failures and successes to add, key by key; no key twice. */
export function recordStatement(context: StatementContext): string {
  const { now } = context;
  return `with written as (${insertCounts(context)}
select key, failures, successes, ${failureTime(now, "failures")}, ${now}${
    failureTimes(context, "failures")
  }
from unnest(
  ${context.param(0)}::text[], ${context.param(1)}::bigint[], ${context.param(2)}::bigint[]
) as call (key, failures, successes)
order by key collate "C"
${addCounts(context)}
returning ${keyedColumns(context)}${context.relaxation})
select ${AGGREGATED} from written`;
}

/** Parameters: the key, failures and successes to add. The form for a lone key. */
export function recordOneStatement(context: StatementContext): string {
  const { now } = context;
  const failures = `${context.param(1)}::bigint`;
  return `${insertCounts(context)}
values (${context.param(0)}, ${failures}, ${context.param(2)}::bigint,
  ${failureTime(now, failures)}, ${now}${failureTimes(context, failures)})
${addCounts(context)}
returning ${columns(context)}${context.relaxation}`;
}

/** Parameters: keys, successes to add, key by key; no key twice. The form without failures. */
export function recordSuccessesStatement(context: StatementContext): string {
  return `with written as (${insertSuccesses(context)}
select key, successes, ${once(context)}
from unnest(${context.param(0)}::text[], ${context.param(1)}::bigint[]) as call (key, successes)
order by key collate "C"
${addInserted()}
returning ${keyedColumns(context, "c.updated_at")}${context.relaxation})
select ${AGGREGATED} from written`;
}

/** Parameters: the key, successes to add. The form for a lone key without failures. */
export function recordOneSuccessesStatement(context: StatementContext): string {
  return `${insertSuccesses(context)}
values (${context.param(0)}, ${context.param(1)}::bigint, ${context.now})
${addInserted()}
returning ${columns(context, "c.updated_at")}${context.relaxation}`;
}

function insertSuccesses({ table }: StatementContext): string {
  return `insert into ${table.quoted} as c (key, success_count, updated_at)`;
}

function addInserted(): string {
  return `on conflict (key) do update set
  success_count = ${saturated("success_count")}, updated_at = excluded.updated_at`;
}

/** The time of a statement for many circuits, whose rows need not look at the clock one by one. */
function once({ now }: StatementContext): string {
  return `(select ${now})`;
}

/**
 * Parameters: the key, and successes to add unless it `isOne`. Returns nothing for a key without
 * a row. What a healthy gateway does all day: an insert that finds its row there costs the server
 * more, and so does a driver's look at a second parameter.
 */
export function addOneSuccessesStatement(context: StatementContext, isOne: boolean): string {
  const successes = isOne ? "1" : `${context.param(1)}::bigint`;
  return `update ${context.table.quoted} as c set
  success_count = ${saturated("success_count", successes)}, updated_at = ${context.now}
where key = ${context.param(0)}
returning ${columns(context, "c.updated_at")}${context.relaxation}`;
}

/**
 * Parameters: keys to read; keys, successes to add to each, and the version that they belong to; no
 * key twice. Returns what it read, and what it counted with `counted`. A row that somebody else is
 * at is left out rather than waited for: instances that count the same circuits all the time would
 * queue for them, one after the other. A circuit that was reset meanwhile goes on with the version,
 * so that the next refresh counts as well.
 */
export function refreshStatement(context: StatementContext): string {
  const { table, now } = context;
  return `with call as materialized (
  select * from unnest(
    ${context.param(1)}::text[], ${context.param(2)}::bigint[], ${context.param(3)}::bigint[]
  ) as call (key, successes, version)
), held as materialized (
  select call.* from call join ${table.quoted} as c on c.key = call.key and ${BY_INDEX}
  order by c.key collate "C" for update of c skip locked
), counted as (
  update ${table.quoted} as c set
    success_count = case
      when c.version = held.version or c.version = held.version + 1 and c.state <> 'half-open'
        then ${saturated("success_count", "held.successes")}
      else c.success_count end,
    updated_at = ${now}
  from held where c.key = held.key and ${BY_INDEX}
  returning ${keyedColumns(context)}${context.relaxation}
), made as (
  insert into ${table.quoted} as c (key, success_count, updated_at, version)
  select key, successes, ${now}, version from call
  where not exists (select from ${table.quoted} as found where found.key = call.key)
  order by key collate "C"
  on conflict (key) do nothing
  returning ${keyedColumns(context)}${context.relaxation}
)
select ${AGGREGATED}, counted from (
  select circuit, 1 as counted from counted
  union all
  select circuit, 1 from made
  union all
  select circuit, 0 from (${readRows(context)}) as read
) as found group by counted`;
}

function insertCounts({ table, rules }: StatementContext): string {
  return `insert into ${table.quoted} as c
  (key, failure_count, success_count, last_failure_time, updated_at${
    rules.failureWindowMs === undefined ? "" : ", recent_failures"
  })`;
}

function failureTime(now: string, failures: string): string {
  return `case when ${failures} > 0 then ${now} else 0 end`;
}

function failureTimes({ rules, now }: StatementContext, failures: string): string {
  if (rules.failureWindowMs === undefined) return "";
  return `, array_fill(${now}, array[least(${failures}, ${windowCapacity(rules)})::int])`;
}

function addCounts({ rules, now }: StatementContext): string {
  return `on conflict (key) do update set
  failure_count = ${saturated("failure_count")},
  success_count = ${saturated("success_count")},
  last_failure_time =
    case when excluded.failure_count > 0 then ${now} else c.last_failure_time end,
  updated_at = ${now}${
    rules.failureWindowMs === undefined ? "" : `,
  recent_failures = ${keptFailures(now, rules.failureWindowMs, windowCapacity(rules))}`
  }`;
}

// The inner bound is for a counter that somebody else set beyond ours: adding to 2^63 - 1 fails.
function saturated(counter: string, added: string = `excluded.${counter}`): string {
  return `least(least(c.${counter}, ${MAX_COUNT}) + ${added}, ${MAX_COUNT})`;
}

/** The failures that a row remembers: those of the window, the newest first to stay. */
function keptFailures(now: string, windowMs: number, capacity: number): string {
  return `case when excluded.failure_count = 0 then c.recent_failures else array(
    select at from (
      select at from unnest(c.recent_failures) as failure (at), (select ${now} as now) clock
      where abs(now - at) < ${windowMs}
      union all
      select ${now} from generate_series(1, least(excluded.failure_count, ${capacity}))
    ) as failure order by at desc limit ${capacity}
  ) end`;
}

/** How many failures a row remembers: enough to decide, and to be exact where people look. */
function windowCapacity({ failureThreshold = 1 }: StatementContext["rules"]): number {
  return Math.max(failureThreshold, 1000);
}

/** Parameters: keys. The clock is not among them. */
export function resetStatement(table: TableName): string {
  return `with c as (
  select key from ${table.quoted} where key = any($1::text::text[])
  order by key collate "C" for update
)
delete from ${table.quoted} as doomed using c where doomed.key = c.key`;
}

/** Parameters: state or null, limit, and the key to start after, where there is one. */
export function listStatement(context: StatementContext, hasCursor: boolean): string {
  const state = context.param(0);
  return `select ${keyedColumns(context)} from ${context.table.quoted} c
where (${state} is null or ${effectiveState("c", context.now)} = ${state})${
    hasCursor ? ` and key collate "C" > ${context.param(2)}` : ""
  }
order by key collate "C" limit ${context.param(1)}::int`;
}

/** Fails unless the table is there; returns whether the server takes writes. No parameters. */
export function checkStatement(table: TableName): string {
  return `select current_setting('transaction_read_only') as read_only
from (select 1) as always
left join (select key, version from ${table.quoted} limit 1) as any_circuit on true`;
}
