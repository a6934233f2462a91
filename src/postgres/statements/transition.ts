/** Moving circuits for a caller that reports no result of a probe. */

import type { Circuit } from "../../circuit.ts";
import { judgeMoveSql } from "../../rules/moving.ts";
import { leaseAfterMoveSql } from "../../rules/probing.ts";
import { stateCodeSql } from "../../rules/state.ts";
import type { CircuitState } from "../../types.ts";
import { packKeyedCircuit, toCircuits } from "../codec.ts";
import { textArray } from "../text_array.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/**
 * Moves circuits to a state. Closing a circuit without a row makes none and returns none.
 *
 * A row that does not move is written back unchanged rather than left out, because only a written row
 * is returned as it is now: a separate read would see the moment at which the statement began.
 *
 * In the SET list, `excluded.updated_at` is the one time for all conditions, which must not fall on
 * both sides of a moment. The clock itself is read anew wherever it stands.
 */
export function transitionStatement(
  context: StatementContext,
): Statement<[keys: readonly string[], to: CircuitState], Circuit[]> {
  const { table, rules, now } = context;
  const move = judgeMoveSql("c", "excluded.state", "excluded.updated_at", rules);
  const inserted = leaseAfterMoveSql("state", now, rules.probing);
  const updated = leaseAfterMoveSql("excluded.state", now, rules.probing);
  return {
    action: "move circuit",
    text: `insert into ${table.quoted} as c
  (key, state, last_state_change, version, updated_at, changes, probe_count, probe_expires_at)
select key, state,
  case when state = 'closed' then 0 else ${now} end,
  case when state = 'closed' then 0 else 1 end,
  ${now},
  array[1, ${now}, ${stateCodeSql("state")}],
  ${inserted.probeCount},
  ${inserted.probeExpiresAt}
from unnest(${context.param(0)}::text[], ${context.param(1)}::text[]) as move (key, state)
where state <> 'closed' or exists (select from ${table.quoted} as found where found.key = move.key)
order by key collate "C"
on conflict (key) do update set
  state = case when ${move.moves} then excluded.state else c.state end,
  failure_count = case when ${move.zeroesFailures} then 0 else c.failure_count end,
  recent_failures = case when ${move.zeroesFailures} then '{}' else c.recent_failures end,
  success_count = case when ${move.zeroesSuccesses} then 0 else c.success_count end,
  last_state_change = case when ${move.moves} then ${now} else c.last_state_change end,
  version = c.version + case when ${move.moves} then 1 else 0 end,
  probe_count = case when ${move.moves} then ${updated.probeCount} else c.probe_count end,
  probe_expires_at =
    case when ${move.moves} then ${updated.probeExpiresAt} else c.probe_expires_at end,
  updated_at = case when ${move.moves} or ${move.zeroesSuccesses} then ${now} else c.updated_at end
returning ${packKeyedCircuit(context)}`,
    encode: (keys, to) => [textArray(keys), textArray(keys.map(() => to))],
    decode: (rows) => toCircuits(rows),
    timeOf,
  };
}
