/** What an operator does to a circuit: forces a state, releases it, resets the circuit. */

import type { Circuit } from "../../circuit.ts";
import type { Force } from "../../options/force.ts";
import { isForcedSql } from "../../rules/forcing.ts";
import { packCircuit, toCircuits } from "../codec.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/**
 * Forces a state on a circuit, or releases it. A step of the version fences the probes under way.
 * Releasing a circuit without a row makes none and returns none.
 */
export function forceStatement(
  context: StatementContext,
): Statement<[key: string, force: Force | undefined], Circuit[]> {
  const { now } = context;
  const key = context.param(0);
  const state = context.param(1);
  const until = `${now} + ${context.param(2)}::bigint`;
  const reason = context.param(3);
  const changes = `(${isForcedSql("c", "excluded.updated_at")} or ${state} is not null)`;
  return {
    action: "force circuit",
    text: `insert into ${context.table.quoted} as c
  (key, forced_state, forced_at, forced_until, forced_reason, version, updated_at, changes)
select ${key}, ${state}, ${now}, ${until}, ${reason}, 1, ${now},
  array[1, ${now}, case ${state} when 'open' then 1 else 0 end]
where ${state} is not null
  or exists (select from ${context.table.quoted} as found where found.key = ${key})
on conflict (key) do update set
  forced_state = excluded.forced_state,
  forced_at = case when ${state} is null then null else ${now} end,
  forced_until = ${until},
  forced_reason = excluded.forced_reason,
  version = c.version + case when ${changes} then 1 else 0 end,
  updated_at = case when ${changes} then ${now} else c.updated_at end
returning ${packCircuit(context)}`,
    encode: (key, force) => [
      key,
      force?.state ?? null,
      force?.forMs === undefined ? null : `${force.forMs}`,
      force?.reason ?? null,
    ],
    decode: (rows, key) => toCircuits(rows, key),
    timeOf,
  };
}

/** Deletes a circuit. */
export function resetStatement(context: StatementContext): Statement<[key: string], void> {
  return {
    action: "reset circuit",
    hasNoClock: true,
    text: `delete from ${context.table.quoted} where key = $1::text`,
    encode: (key) => [key],
    decode: () => {},
  };
}
