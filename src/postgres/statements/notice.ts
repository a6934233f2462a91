/** Making rows, and writing into the log what others did to them. */

import { isUnloggedSql } from "../../rules/logging.ts";
import { textArray } from "../text_array.ts";
import { type ChangedCircuit, type ChangePlan, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/** Makes rows for circuits without one: closed, and without a version. */
export function addStatement(
  context: StatementContext,
): Statement<[keys: readonly string[]], number> {
  return {
    action: "add circuits",
    text: `with added as (
  insert into ${context.table.quoted} (key, updated_at)
  select key, ${context.statementTime} from pg_catalog.unnest(${
      context.param(0)
    }::text[]) as call (key)
  order by key collate "C"
  on conflict (key) do nothing
  returning 1
)
select count(*)::int as added from added`,
    encode: (keys) => [textArray(keys)],
    decode: (rows) => Number(rows[0]!.added),
  };
}

/** What is noticed changes nothing else. Another instance that holds the row may notice it as well. */
const UNCHANGED: Omit<ChangePlan, "calls"> = {
  skipsLocked: true,
  changes: "false",
  state: "c.state",
  zeroesLike: "''",
  cause: "''",
  actor: "''",
  reason: "null::text",
  set: {},
};

/** Writes into the log what others did to circuits. Returns those whose rows were not locked. */
export function noticeStatement(
  context: StatementContext,
): Statement<[keys: readonly string[]], ChangedCircuit[]> {
  return {
    action: "notice changes",
    text: changeSql(context, {
      calls: context.calls({ key: "text" }),
      ...UNCHANGED,
    }),
    encode: (keys) => [textArray(keys)],
    decode: toChangedCircuits,
    timeOf,
  };
}

/** The same for forced states that ended by their time without a row of the log. */
export function noticeExpiryStatement(context: StatementContext): Statement<[], ChangedCircuit[]> {
  const { table, statementTime } = context;
  return {
    action: "notice changes",
    text: changeSql(context, {
      calls: `select key from ${table.quoted} as c
  where c.forced_until is not null and c.forced_until <= ${statementTime}
    and ${isUnloggedSql("c", "c.logged_state", statementTime)}
  order by c.forced_until limit 100`,
      ...UNCHANGED,
    }),
    encode: () => [],
    decode: toChangedCircuits,
    timeOf,
  };
}
