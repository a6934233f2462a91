/** Counting refusals, in the background. */

import type { RefusedCalls } from "../../ports.ts";
import { addCountSql } from "../../rules/counting.ts";
import { isOfOutageSql } from "../../rules/refusing.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";

/**
 * Adds refusals to the circuits that have a row. It waits for no lock, and takes no version. Returns the
 * keys whose rows were locked, or written while the statement ran: count these again. Circuits without a
 * row, and those with a later outage, are left out.
 */
export function countRefusedStatement(
  context: StatementContext,
): Statement<[calls: readonly RefusedCalls[]], string[]> {
  const { table } = context;
  return {
    action: "count refusals",
    hasNoClock: true,
    text: `with call as materialized (
  select call.* from (
    select $1::text::text[] as key, $2::text::bigint[] as refused, $3::text::bigint[] as opened_at offset 0
  ) as given, rows from (
    pg_catalog.unnest(given.key), pg_catalog.unnest(given.refused), pg_catalog.unnest(given.opened_at)
  ) as call (key, refused, opened_at)
), held as materialized (
  select c.key, c.ctid as place from ${table.quoted} as c
  where c.key = any(array(select call.key from call)) and ${BY_INDEX}
  order by c.key collate "C" for update of c skip locked
), counted as (
  update ${table.quoted} as c
  set refused_count = ${addCountSql("c.refused_count", "call.refused")}
  from held join call on call.key = held.key
  where c.ctid = held.place and ${isOfOutageSql("c", "call.opened_at")} and ${BY_INDEX}
  returning held.key${context.relaxation}
)
select coalesce(pg_catalog.json_agg(call.key)::text, '[]') as left_over from call
where not exists (select from counted where counted.key = call.key) and exists (
  select from ${table.quoted} as c
  where c.key = call.key and ${isOfOutageSql("c", "call.opened_at")}
)`,
    encode: (calls) => [
      textArray(calls.map(({ key }) => key)),
      textArray(calls.map(({ refused }) => refused)),
      textArray(calls.map(({ openedAt }) => openedAt)),
    ],
    decode: (rows) => JSON.parse(String(rows[0]!.left_over)),
  };
}
