/**
 * Counting successes later, exactly once. A flush waits for no lock. In this order it takes the token,
 * which lets one flush run at a time for the whole table; the row of its instance, unless that has the
 * number of this flush already; and the circuits. Each lock that another transaction holds is skipped.
 */

import type { Deferred, Flush, FlushResult, Instance } from "../../ports.ts";
import { addCountSql, isStillCountedSql } from "../../rules/counting.ts";
import { VERSION } from "../../version.ts";
import { SCHEMA_VERSION, TOKEN_ID, TOKEN_LIBRARY } from "../catalogue.ts";
import { readWhereWritable, textOf } from "../codec.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";

/** What the token's row says of the table: the schema that this release makes. */
const TABLE_SCHEMA = `${TOKEN_LIBRARY}${SCHEMA_VERSION}`;

/** The columns of {@linkcode Deferred}. */
const DEFERRED = { key: "text", successes: "bigint", version: "bigint" };

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
 * the keys whose rows were locked or missing. Returns `undefined` where it has done nothing: another flush
 * was running, this one was counted before, or the instance has no row.
 */
export function flushStatement(
  context: StatementContext,
): Statement<[instance: Instance, flush: Flush], readonly string[] | undefined> {
  const { table } = context;
  const [id, number] = [context.param(0), `${context.param(1)}::bigint`];
  return {
    action: "count successes",
    text: `with token as materialized (
  select id from ${table.instances.quoted} where id = '${TOKEN_ID}' for update skip locked
), own as materialized (
  select id from ${table.instances.quoted}
  where id = ${id} and flush < ${number} and exists (select from token)
  for update skip locked
), call as materialized (
  ${context.calls(DEFERRED, 2)} where exists (select from own)
), ${countHeld(context, "skip locked")}
update ${table.instances.quoted} as i set flush = ${number}, seen_at = ${context.now},
  left_over = array(
    select distinct call.key from call
    where not exists (select from held where held.key = call.key)
  )
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

/**
 * SQL: locks the circuits of `call` in the order of their keys, as `held`, and counts their successes, as
 * `counted`.
 */
function countHeld(context: StatementContext, locked: "skip locked" | "", returning = ""): string {
  const { table, now } = context;
  return `held as materialized (
  select c.key, c.zeroed_version from ${table.quoted} as c
  where c.key = any(array(select call.key from call)) and ${BY_INDEX}
  order by c.key collate "C" for update of c ${locked}
), counted as (
  update ${table.quoted} as c set
    success_count = ${addCountSql("c.success_count", "sum.successes")}, updated_at = ${now}
  from (
    select held.key, sum(call.successes)::bigint as successes
    from held join call on call.key = held.key and ${isStillCountedSql("call.version", "held")}
    group by held.key
  ) as sum
  where c.key = sum.key
  ${returning}
)`;
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
  ${context.calls(DEFERRED)}
), ${countHeld(context, "", `returning 1${context.relaxation}`)}
select coalesce(pg_catalog.json_agg(key), '[]')::text as found from held
where (select count(*) from counted) >= 0`,
    encode: (deferred) => columnsOf(deferred),
    decode: (rows) => JSON.parse(String(rows[0]!.found)),
  };
}

function columnsOf(deferred: readonly Deferred[]): [string, string, string] {
  return [
    textArray(deferred.map(({ key }) => key)),
    textArray(deferred.map(({ successes }) => successes)),
    textArray(deferred.map(({ version }) => version)),
  ];
}
