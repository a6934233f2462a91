/**
 * Removing what is not used any more: circuits, rows of the log, instances that are gone. Rows that are
 * locked are skipped, not waited for. Removing a circuit changes no state, so the log has no row for it.
 */

import { isForcedSql } from "../../rules/forcing.ts";
import { storedStateSql } from "../../rules/state.ts";
import { hasStandingVotesSql } from "../../rules/voting.ts";
import { TOKEN_ID } from "../catalogue.ts";
import type { TableName } from "../identifier.ts";
import type { Row, Statement, StatementContext } from "./context.ts";

/** A circuit with a version stays for so long after its last change, in milliseconds, at least. */
const VERSION_KEPT_MS = 3_600_000;

/** It also stays for this multiple of the longest bound of staleness of a living instance. */
const BOUNDS_KEPT = 100;

/** An instance that was not seen for so long is gone, in milliseconds. */
const INSTANCE_KEPT_MS = 900_000;

/** A circuit counts as in use for this time, in milliseconds: instances with a cache note its use later. */
const IN_USE_MS = 120_000;

/** How often a circuit was used since its counters were zeroed. */
const USES = "c.failure_count + c.success_count";

/** How many rows of a circuit the log keeps in preference to the last rows of other circuits. */
const ROWS_KEPT = 100;

/** How full the log is after rows in excess were removed, in percent, so that it happens seldom. */
const FILL = 95;

/** Removes circuits that were idle for `idleMs`, at most `limit` of them. Returns how many. */
export function pruneStatement(
  context: StatementContext,
  isElected: boolean,
): Statement<[idleMs: number, limit: number], number> {
  const { table, now } = context;
  return {
    action: "prune circuits",
    text: `with ${isElected ? elected(table) : ""}clock as materialized (
  select ${now} as now, ${keptMs(table)} as kept_ms
), undated as materialized (
  -- Other programs that write the table do not note when they did.
  select c.ctid as place from ${table.quoted} as c where c.updated_at = 0
  limit 1000 for update skip locked
), dated as (
  update ${table.quoted} as c set updated_at = clock.now from clock, undated
  where c.ctid = undated.place and c.updated_at = 0
), doomed as (
  select c.ctid as place from ${table.quoted} as c, clock
  where ${isRemovable("clock.now", "clock.kept_ms")}
    and ${usedAt("c")} < clock.now - ${context.param(0)}::bigint${
      isElected ? " and (select won from elected)" : ""
    }
  -- A circuit that has failed goes last.
  order by c.failure_count > 0
  limit ${context.param(1)}::int for update of c skip locked
), ${removed(table)}`,
    encode: (idleMs, limit) => [`${idleMs}`, `${limit}`],
    decode: removedOf,
  };
}

/**
 * Removes closed circuits until `maxCircuits` are left. Returns how many it removed. A circuit in use goes
 * last: one that was used more than once, and lately. So a flood of keys does not push out the circuits
 * that the fleet works with. Of the others those without failures go first, and of these the ones that
 * were used only once, the longest idle first.
 */
export function trimStatement(context: StatementContext): Statement<[maxCircuits: number], number> {
  const { table, now } = context;
  return {
    action: "trim circuits",
    text: `with ${elected(table)}clock as materialized (
  select ${now} as now, ${keptMs(table)} as kept_ms
), excess as materialized (
  select greatest(count(*) - ${context.param(0)}::bigint, 0) as excess from ${table.quoted}
  where (select won from elected)
), doomed as (
  select c.ctid as place from ${table.quoted} as c, clock
  where (select excess from excess) > 0 and ${isRemovable("clock.now", "clock.kept_ms")}
  order by ${USES} > 1 and ${usedAt("c")} > clock.now - ${IN_USE_MS},
    c.failure_count > 0, ${USES} > 1, ${usedAt("c")}
  limit (select excess from excess) for update of c skip locked
), ${removed(table)}`,
    encode: (maxCircuits) => [`${maxCircuits}`],
    decode: removedOf,
  };
}

/**
 * Removes rows of the log that are older than `historyMs`, or in excess of `historyRows`, and instances
 * that are gone. Each circuit's newest row stays, unless the log is too long even so. Of the rows in
 * excess, those of circuits that change all the time go first. Returns how many rows of the log it
 * removed.
 *
 * The token's row notes the highest id of a transaction that lost rows: a reader that had not seen it
 * knows that it missed changes.
 */
export function pruneLogStatement(
  context: StatementContext,
): Statement<[historyMs: number, historyRows: number], number> {
  const { table, now } = context;
  const log = table.changes.quoted;
  const rows = `${context.param(1)}::bigint`;
  return {
    action: "prune changes",
    text: `with ${elected(table)}clock as materialized (select ${now} as now),
excess as materialized (
  select case when count(*) > ${rows} then count(*) - (${rows} * ${FILL} + 99) / 100 else 0 end as excess
  from ${log} where (select won from elected)
), ranked as materialized (
  -- Only where there is something to remove, because this reads the whole log.
  select ctid as place, xid, version, at,
    row_number() over (partition by key order by version desc) as rank
  from ${log} where (select excess from excess) > 0 or (select won from elected) and exists (
    select from ${log}, clock where at < now - ${context.param(0)}::bigint
  )
), doomed as materialized (
  select place, xid from ranked, clock
  where rank > 1 and at < now - ${context.param(0)}::bigint
  union
  (select place, xid from ranked
  order by rank > ${ROWS_KEPT} desc, rank > 1 desc, version
  limit (select excess from excess))
), gone as (
  delete from ${log} as change using doomed where change.ctid = doomed.place returning change.xid
), noted as (
  update ${table.instances.quoted} set pruned_xid = greatest(pruned_xid, (
    select xid from gone order by xid desc limit 1
  )) where id = '${TOKEN_ID}' and exists (select from gone)
), left_instances as (
  delete from ${table.instances.quoted} as i
  where i.id <> '${TOKEN_ID}' and not ${isLiving("i", "(select now from clock)")}
    and (select won from elected)
)
select count(*)::int as removed from gone`,
    encode: (historyMs, historyRows) => [`${historyMs}`, `${historyRows}`],
    decode: removedOf,
  };
}

/** Whether an instance was seen lately. */
export function isLiving(row: string, now: string): string {
  return `(${row}.seen_at >= ${now} - greatest(${INSTANCE_KEPT_MS}, 10 * ${row}.bound_ms))`;
}

/** When a circuit was last used, also by programs that do not note it. */
function usedAt(row: string): string {
  return `greatest(${row}.updated_at, ${row}.last_failure_time, ${row}.last_state_change)`;
}

/**
 * A circuit with a version stays for a while: an instance may still have it in its cache, and would take
 * a new row, which begins without a version, for an older one.
 */
function isRemovable(now: string, keptMs: string): string {
  return `${storedStateSql("c")} = 'closed' and not ${isForcedSql("c", now)} and c.updated_at > 0
    and (c.vote_labels is null or not ${hasStandingVotesSql("c", now)})
    and (c.version = 0 or ${usedAt("c")} < ${now} - ${keptMs})`;
}

function keptMs({ instances }: TableName): string {
  return `(select greatest(${VERSION_KEPT_MS}, ${BOUNDS_KEPT} * max(bound_ms)) from ${instances.quoted})`;
}

/** One instance at a time: the others find the token taken and have nothing to do. */
function elected(table: TableName): string {
  return `token as materialized (
  select id from ${table.instances.quoted} where id = '${TOKEN_ID}' for update skip locked
), elected as materialized (
  select exists (select from token) as won
), `;
}

/**
 * Deletes rows by their ctid, without a second search by key. The locks keep it from changing. A join, and
 * not `any(array(...))`: that is a scan which compares each row with each doomed one, where the plan is
 * from a time when the table was small.
 */
function removed(table: TableName): string {
  return `gone as (
  delete from ${table.quoted} as c using doomed where c.ctid = doomed.place returning 1
)
select count(*)::int as removed from gone`;
}

function removedOf(rows: Row[]): number {
  return Number(rows[0]!.removed);
}
