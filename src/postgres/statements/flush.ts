/**
 * Counting successes later, exactly once. A flush waits for no lock. In this order it takes the token,
 * which lets one flush run at a time for the whole table; the row of its instance, unless that has the
 * number of this flush already; and the circuits. Each lock that another transaction holds is skipped.
 */

import type { Deferred, Flush, FlushResult, Instance } from "../../ports.ts";
import { addCountSql, isStillCountedSql } from "../../rules/counting.ts";
import { addToSegmentsSql } from "../../rules/segments.ts";
import { VERSION } from "../../version.ts";
import { SCHEMA_VERSION, TOKEN_ID, TOKEN_LIBRARY } from "../catalogue.ts";
import { readWhereWritable, textOf } from "../codec.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";

/** What the token's row says of the table: the schema that this release makes. */
const TABLE_SCHEMA = `${TOKEN_LIBRARY}${SCHEMA_VERSION}`;

/** The columns of {@linkcode Deferred}. */
const DEFERRED = { key: "text", successes: "bigint", version: "bigint", slow: "bigint" };

/** Writes the row of an instance, or renews it. It also makes the token where that is missing. */
export function registerStatement(
  context: StatementContext,
): Statement<[instance: Instance], void> {
  const { table } = context;
  return {
    action: "register instance",
    text: `with token as (
  insert into ${table.instances.quoted} (id, library) values ('${TOKEN_ID}', '${TABLE_SCHEMA}')
  on conflict (id) do nothing
)
insert into ${table.instances.quoted} as i (id, label, library, bound_ms, seen_at)
values (${context.param(0)}, ${context.param(1)}, ${context.param(2)}, ${
      context.param(3)
    }::bigint, ${context.now})
on conflict (id) do update set label = excluded.label, library = excluded.library,
  bound_ms = excluded.bound_ms, seen_at = excluded.seen_at`,
    encode: ({ id, label, boundMs }) => [id, label, VERSION, `${boundMs}`],
    decode: () => {},
  };
}

/**
 * Counts each circuit's successes where its counter was not zeroed since they were acknowledged. Returns
 * the keys whose rows were locked, missing, or written while the statement ran. Returns `undefined` where
 * it has done nothing: another flush was running, this one was counted before, or the instance has no row.
 *
 * The update finds its rows by their places, which costs a third of what a search in the index does. A row
 * that another transaction wrote after this statement began has a place that the statement does not see:
 * it is left over.
 */
export function flushStatement(
  context: StatementContext,
): Statement<[instance: Instance, flush: Flush], readonly string[] | undefined> {
  const { table } = context;
  const [id, number] = [context.param(0), `${context.param(1)}::bigint`];
  const isCounted = isStillCountedSql("call.version", "held");
  return {
    action: "count successes",
    text: `with token as materialized (
  select id from ${table.instances.quoted} where id = '${TOKEN_ID}' for update skip locked
), own as materialized (
  select id from ${table.instances.quoted}
  where id = ${id} and flush < ${number} and exists (select from token)
  for update skip locked
), call as materialized (
  ${deferredSql(context, 2)} where exists (select from own)
), held as materialized (
  ${heldSql(context, "c.key, c.ctid as place, c.zeroed_version", "skip locked")}
), counted as (
  update ${table.quoted} as c set ${countSql(context)}
  from held join call on call.key = held.key and ${isCounted}
  where c.ctid = held.place and ${BY_INDEX}
  returning held.key
)
update ${table.instances.quoted} as i set flush = ${number}, seen_at = ${context.now},
  left_over = case when (select count(*) from counted) = (select count(*) from call)
    then '{}'::text[] else array(
      select call.key from call
      where not exists (select from counted where counted.key = call.key)
        and not exists (select from held where held.key = call.key and not ${isCounted})
    ) end
from own where i.id = own.id
returning pg_catalog.array_to_json(i.left_over)::text as left_over${context.relaxation}`,
    encode: ({ id }, { number, deferred }) => [
      id,
      `${number}`,
      ...columnsOf(deferred),
    ],
    decode: (rows) => rows.length === 0 ? undefined : JSON.parse(String(rows[0]!.left_over)),
  };
}

/** SQL: selects what is deferred, from parameters that begin with a number, and the time. */
function deferredSql(context: StatementContext, first: number): string {
  return `select given.*, clock.now from (${context.calls(DEFERRED, first)}) as given,
    (select ${context.now} as now offset 0) as clock`;
}

/** SQL: locks the circuits of `call` in the order of their keys, and selects some of each. */
function heldSql({ table }: StatementContext, columns: string, locked: "skip locked" | ""): string {
  return `select ${columns} from ${table.quoted} as c
  where c.key = any(array(select call.key from call)) and ${BY_INDEX}
  order by c.key collate "C" for update of c ${locked}`;
}

/**
 * SQL: what counting sets in a row. The time of a row that was written in this second stays, so that less of
 * the row changes.
 */
function countSql({ rules: { trip: { rates } } }: StatementContext): string {
  return `success_count = ${addCountSql("c.success_count", "call.successes")},
    updated_at = case when c.updated_at between call.now - 999 and call.now
      then c.updated_at else call.now end${
    rates === undefined ? "" : `,
    call_segments = ${
      addToSegmentsSql("c.call_segments", "call.now", rates.windowMs, [
        "call.successes",
        "0",
        "call.slow",
      ])
    }`
  }`;
}

/** What became of a flush: read in a statement of its own, which sees what has committed since. */
export function findFlushStatement(
  { table }: StatementContext,
): Statement<[instance: Instance, flush: Flush], FlushResult> {
  return {
    action: "count successes",
    isRead: true,
    hasNoClock: true,
    text: readWhereWritable(`select pg_catalog.json_build_array(flush, left_over)::text
from ${table.instances.quoted} where id = $1::text`),
    encode: ({ id }) => [id],
    decode(rows, _instance, { number }) {
      const text = textOf(rows[0]!.circuit);
      if (text === undefined) return { outcome: "unknown instance" };
      const [last, leftOver] = JSON.parse(text) as [number, string[]];
      return last >= number ? { outcome: "done", leftOver } : { outcome: "busy" };
    },
  };
}

/**
 * Counts successes where they still count, and waits for its rows. Returns the keys that have one. It is
 * sent at most once, like every statement that counts.
 */
export function countDeferredStatement(
  context: StatementContext,
): Statement<[deferred: readonly Deferred[]], string[]> {
  return {
    action: "count successes",
    text: `with call as materialized (
  ${deferredSql(context, 0)}
), held as materialized (
  ${heldSql(context, "c.key, c.zeroed_version", "")}
), counted as (
  update ${context.table.quoted} as c set ${countSql(context)}
  from held join call on call.key = held.key and ${isStillCountedSql("call.version", "held")}
  where c.key = held.key
  returning 1${context.relaxation}
)
select coalesce(pg_catalog.json_agg(key), '[]')::text as found from held
where (select count(*) from counted) >= 0`,
    encode: (deferred) => columnsOf(deferred),
    decode: (rows) => JSON.parse(String(rows[0]!.found)),
  };
}

function columnsOf(deferred: readonly Deferred[]): [string, string, string, string] {
  return [
    textArray(deferred.map(({ key }) => key)),
    textArray(deferred.map(({ successes }) => successes)),
    textArray(deferred.map(({ version }) => version)),
    textArray(deferred.map(({ slow = 0 }) => slow)),
  ];
}
