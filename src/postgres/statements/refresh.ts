/** Refreshing a cache: reads circuits and counts the successes that were deferred. */

import type { Deferred, Refreshed } from "../../ports.ts";
import { addCountSql, isStillCountedSql } from "../../rules/counting.ts";
import { AGGREGATED, packKeyedCircuit, toCircuits } from "../codec.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";
import { selectMany } from "./read.ts";

/**
 * Reads circuits and counts deferred successes. A row that is locked is left out rather than waited
 * for: instances that count the same circuits all the time would queue for them, one after the
 * other. A circuit that was reset meanwhile goes on with the version, so that the next refresh counts
 * as well.
 */
export function refreshStatement(
  context: StatementContext,
): Statement<[keys: readonly string[], deferred: readonly Deferred[]], Refreshed[]> {
  const { table, now } = context;
  return {
    action: "refresh circuits",
    text: `with call as materialized (
  select * from unnest(
    ${context.param(1)}::text[], ${context.param(2)}::bigint[], ${context.param(3)}::bigint[]
  ) as call (key, successes, version)
), held as materialized (
  select call.* from call join ${table.quoted} as c on c.key = call.key and ${BY_INDEX}
  order by c.key collate "C" for update of c skip locked
), counted as (
  update ${table.quoted} as c set
    success_count = case when ${isStillCountedSql("held.version", "c")}
      then ${addCountSql("c.success_count", "held.successes")} else c.success_count end,
    updated_at = ${now}
  from held where c.key = held.key and ${BY_INDEX}
  returning ${packKeyedCircuit(context)}${context.relaxation}
), made as (
  insert into ${table.quoted} as c (key, success_count, updated_at, version)
  select key, successes, ${now}, version from call
  where not exists (select from ${table.quoted} as found where found.key = call.key)
  order by key collate "C"
  on conflict (key) do nothing
  returning ${packKeyedCircuit(context)}${context.relaxation}
)
select ${AGGREGATED}, counted from (
  select circuit, 1 as counted from counted
  union all
  select circuit, 1 from made
  union all
  select circuit, 0 from (${selectMany(context)}) as read
) as found group by counted`,
    encode: (keys, deferred) => [
      textArray(keys),
      textArray(deferred.map(({ key }) => key)),
      textArray(deferred.map(({ successes }) => successes)),
      textArray(deferred.map(({ version }) => version)),
    ],
    decode: (rows) =>
      rows.flatMap((row) => {
        const isCounted = Number(row.counted) === 1;
        return toCircuits([row]).map((circuit) => ({ ...circuit, isCounted }));
      }),
    timeOf: (circuits) => circuits[0]?.readAt,
  };
}
