/** Reading the changes that rows remember. */

import type { Change, Histories, History } from "../../ports.ts";
import { effectiveStateSql } from "../../rules/forcing.ts";
import { stateOfCode } from "../../rules/state.ts";
import type { CircuitState } from "../../types.ts";
import { textOf } from "../codec.ts";
import type { Row, Statement, StatementContext } from "./context.ts";

/**
 * Reads a row with the time alone, and one for each circuit that has moved or is not closed: the
 * state that the fleet sees, since when at the latest, and what the row remembers.
 */
export function historyStatement(context: StatementContext): Statement<[], Histories> {
  const { table, now } = context;
  return {
    action: "read changes",
    isRead: true,
    text: `select case when current_setting('transaction_read_only')::boolean then 'read-only'
else ${now}::text end as circuit
union all
select concat_ws(',', c.version, ${effectiveStateSql("c", now)},
  greatest(c.last_state_change, case when c.forced_until <= ${now} then c.forced_until end),
  array_to_string(c.changes, ',')) || e'\\n' || c.key
from ${table.quoted} c where c.version > 0 or c.state <> 'closed'`,
    encode: () => [],
    decode: toHistories,
    timeOf: ({ readAt }) => readAt,
  };
}

/** Rows of {@linkcode historyStatement} as what circuits remember. */
export function toHistories(rows: Row[]): Histories {
  const histories: Histories = { circuits: [], readAt: 0 };
  for (const row of rows) {
    const text = textOf(row.circuit) ?? "";
    if (text.includes("\n")) histories.circuits.push(toHistory(text));
    else histories.readAt = Number(text);
  }
  return histories;
}

function toHistory(text: string): History {
  const end = text.indexOf("\n");
  const [version, state, since, ...rest] = text.slice(0, end).split(",");
  const changes: Change[] = [];
  // The newest comes first, and a row without any ends in an empty field.
  for (let i = Math.floor(rest.length / 3) * 3 - 3; i >= 0; i -= 3) {
    changes.push({
      version: Number(rest[i]),
      at: Number(rest[i + 1]),
      state: stateOfCode(Number(rest[i + 2])),
    });
  }
  return {
    key: text.slice(end + 1),
    version: Number(version),
    state: state as CircuitState,
    since: Number(since),
    changes,
  };
}
