/** Opening circuits that are due, where the statement that recorded a result could not. */

import { isForcedSql } from "../../rules/forcing.ts";
import { storedStateSql } from "../../rules/state.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import { textArray } from "../text_array.ts";
import type { Statement, StatementContext } from "./context.ts";
import { openedWhereSql } from "./opening.ts";
import { timeOf } from "./read.ts";
import { verdictSql } from "./verdict.ts";

/** Opens those of the circuits that are due, or makes them suspect. Returns those that have a row. */
export function tripStatement(
  context: StatementContext,
): Statement<[keys: readonly string[], actor: string], ChangedCircuit[]> {
  return {
    action: "open circuit",
    text: changeSql(context, {
      calls: context.calls({ key: "text" }),
      judged: [[
        "verdict",
        `case when ${storedStateSql("c")} = 'closed' and not ${isForcedSql("c", "c.now")}
      then ${verdictSql(context, "c.now", "c")} end`,
      ]],
      changes: "coalesce(c.verdict in ('trip', 'suspect'), false)",
      state: "case when c.verdict = 'trip' then 'open' else c.state end",
      zeroesLike: "''",
      cause: "c.verdict",
      actor: context.param(1),
      reason: "null::text",
      set: {
        ...openedWhereSql("c.verdict = 'trip'", "c", "c.now", context.rules),
        suspect_at:
          `case c.verdict when 'trip' then 0 when 'suspect' then c.now else c.suspect_at end`,
      },
    }),
    encode: (keys, actor) => [textArray(keys), actor],
    decode: toChangedCircuits,
    timeOf,
  };
}
