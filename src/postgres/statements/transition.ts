/** Moving circuits for a caller that reports no result of a probe. */

import { openingSql } from "../../rules/backoff.ts";
import { judgeMoveSql, moveCauseSql, openedAtAfterSql } from "../../rules/moving.ts";
import { leaseAfterMoveSql } from "../../rules/probing.ts";
import { storedStateSql } from "../../rules/state.ts";
import type { CircuitState } from "../../types.ts";
import { textArray } from "../text_array.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";
import { isTripDecidedSql } from "./verdict.ts";

/** Moves circuits to a state. Returns those that have a row. */
export function transitionStatement(
  context: StatementContext,
): Statement<[keys: readonly string[], to: CircuitState, actor: string], ChangedCircuit[]> {
  const to = context.param(1);
  const move = judgeMoveSql(
    "c",
    to,
    "c.now",
    context.rules,
    isTripDecidedSql(context, "c.now"),
  );
  const lease = leaseAfterMoveSql(to, "c.now", context.rules.probing);
  // A counter that is zero already does not fall.
  const zeroes =
    `(${move.zeroesFailures} and (c.failure_count > 0 or pg_catalog.cardinality(c.recent_failures) > 0)
    or ${move.zeroesSuccesses} and c.success_count > 0)`;
  const opens = openingSql("c", "c.now", context.rules);
  const ifMoved = (column: string, value: string) =>
    `case when c.moves then ${value} else c.${column} end`;
  return {
    action: "move circuit",
    text: changeSql(context, {
      calls: context.calls({ key: "text" }),
      judged: [["moves", move.moves], ["zeroes", zeroes]],
      changes: "(c.moves or c.zeroes)",
      state: ifMoved("state", to),
      zeroesLike: to,
      cause: `case when c.moves then ${moveCauseSql(storedStateSql("c"), to)} else 'zeroed' end`,
      actor: context.param(2),
      reason: "null::text",
      set: {
        last_state_change: ifMoved("last_state_change", "c.now"),
        opened_at: ifMoved("opened_at", openedAtAfterSql("c", to, "c.now")),
        suspect_at: "case when c.new_version is not null then 0 else c.suspect_at end",
        probe_count: ifMoved("probe_count", lease.probeCount),
        probe_expires_at: ifMoved("probe_expires_at", lease.probeExpiresAt),
        probe_settled: ifMoved("probe_settled", "0"),
        probe_successes: ifMoved("probe_successes", "0"),
        reset_ms: ifMoved("reset_ms", `case when ${to} = 'open' then ${opens.reset_ms} else 0 end`),
        failed_rounds: `case when c.moves and ${to} = 'open' then ${opens.failed_rounds}
      else c.failed_rounds end`,
      },
    }),
    encode: (keys, to, actor) => [textArray(keys), to, actor],
    decode: toChangedCircuits,
    timeOf,
  };
}
