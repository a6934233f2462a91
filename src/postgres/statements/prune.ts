/**
 * The SQL that removes circuits nobody misses: closed ones. One that is open, half-open (and so
 * leased) or forced is never removed. Rows that somebody holds are skipped, not waited for.
 */

import { SILENCE } from "../change_triggers.ts";
import type { TableName } from "../identifier.ts";
import { quoteLiteral } from "../identifier.ts";
import { isForced, type StatementContext, storedState } from "../sql_parts.ts";

/** Parameters: for how many milliseconds idle, how many at most. Returns how many were removed. */
export function pruneStatement(context: StatementContext, isElected: boolean): string {
  const { table, now } = context;
  return `with ${isElected ? elected(table) : ""}doomed as (
  select c.ctid as place from ${table.quoted} as c
  where ${isSilent} and ${isRemovable(now)} and c.updated_at < ${now} - ${
    context.param(0)
  }::bigint${isElected ? " and (select won from elected)" : ""}
  limit ${context.param(1)}::int for update skip locked
), ${removed(table)}`;
}

/** Parameters: how many circuits to keep. Removes those whose last use is longest ago. */
export function trimStatement(context: StatementContext): string {
  const { table, now } = context;
  return `with ${elected(table)}excess as materialized (
  select greatest(count(*) - ${context.param(0)}::bigint, 0) as excess from ${table.quoted}
  where (select won from elected)
), doomed as (
  select c.ctid as place from ${table.quoted} as c
  where ${isSilent} and (select excess from excess) > 0 and ${isRemovable(now)}
  order by c.updated_at limit (select excess from excess) for update skip locked
), ${removed(table)}`;
}

/** Whoever knows one of them forgets it by itself. For this transaction only, which is the statement. */
const isSilent = `(select set_config('${SILENCE}', 'on', true)) = 'on'`;

function isRemovable(now: string): string {
  return `${storedState("c")} = 'closed' and not ${isForced("c", now)}`;
}

/** One instance at a time: the others find the lock taken and have nothing to do. */
function elected(table: TableName): string {
  const name = quoteLiteral(`@circuit-breaker/postgres cleanup ${table.quoted}`);
  return `elected as materialized (
  select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as won
), `;
}

/** By their place, which costs no second look for their keys: the locks keep it from changing. */
function removed(table: TableName): string {
  return `gone as (
  delete from ${table.quoted} as c where c.ctid = any(array(select place from doomed)) returning 1
)
select count(*)::int as removed from gone`;
}
