/**
 * Removing closed circuits that are not used. An open, half-open (and so leased) or forced circuit is
 * never removed. Rows that are locked are skipped, not waited for.
 */

import { isForcedSql } from "../../rules/forcing.ts";
import { storedStateSql } from "../../rules/state.ts";
import { SILENCE } from "../change_triggers.ts";
import { quoteLiteral, type TableName } from "../identifier.ts";
import type { Row, Statement, StatementContext } from "./context.ts";

/** Removes circuits that were idle for `idleMs`, at most `limit` of them. Returns how many. */
export function pruneStatement(
  context: StatementContext,
  isElected: boolean,
): Statement<[idleMs: number, limit: number], number> {
  const { table, now } = context;
  return {
    action: "prune circuits",
    text: `with ${isElected ? elected(table) : ""}doomed as (
  select c.ctid as place from ${table.quoted} as c
  where ${isSilent} and ${isRemovable(now)} and c.updated_at < ${now} - ${
      context.param(0)
    }::bigint${isElected ? " and (select won from elected)" : ""}
  limit ${context.param(1)}::int for update skip locked
), ${removed(table)}`,
    encode: (idleMs, limit) => [`${idleMs}`, `${limit}`],
    decode: removedOf,
  };
}

/** Removes the circuits longest idle until `maxCircuits` are left. Returns how many it removed. */
export function trimStatement(context: StatementContext): Statement<[maxCircuits: number], number> {
  const { table, now } = context;
  return {
    action: "trim circuits",
    text: `with ${elected(table)}excess as materialized (
  select greatest(count(*) - ${context.param(0)}::bigint, 0) as excess from ${table.quoted}
  where (select won from elected)
), doomed as (
  select c.ctid as place from ${table.quoted} as c
  where ${isSilent} and (select excess from excess) > 0 and ${isRemovable(now)}
  order by c.updated_at limit (select excess from excess) for update skip locked
), ${removed(table)}`,
    encode: (maxCircuits) => [`${maxCircuits}`],
    decode: removedOf,
  };
}

/** The triggers do not announce these deletions. For this transaction only, which is the statement. */
const isSilent = `(select set_config('${SILENCE}', 'on', true)) = 'on'`;

function isRemovable(now: string): string {
  return `${storedStateSql("c")} = 'closed' and not ${isForcedSql("c", now)}`;
}

/** One instance at a time: the others find the lock taken and have nothing to do. */
function elected(table: TableName): string {
  const name = quoteLiteral(`@circuit-breaker/postgres cleanup ${table.quoted}`);
  return `elected as materialized (
  select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as won
), `;
}

/** Deletes rows by their ctid, without a second search by key. The locks keep it from changing. */
function removed(table: TableName): string {
  return `gone as (
  delete from ${table.quoted} as c where c.ctid = any(array(select place from doomed)) returning 1
)
select count(*)::int as removed from gone`;
}

function removedOf(rows: Row[]): number {
  return Number(rows[0]!.removed);
}
