/**
 * Recording results where the store decides when a circuit opens. The statement counts, judges each
 * circuit once with all of its results, and opens the circuit that is due, with its row of the log: all in
 * one commit. Rows are written in one order and in one pass, as by the statements that only record.
 *
 * A row that the statement inserts is not judged, because it takes no version: another statement opens it
 * (`trip.ts`).
 */

import type { Circuit } from "../../circuit.ts";
import type { LogCause, OwnChange } from "../../ports.ts";
import {
  addCountSql,
  countFailuresSql,
  countResultsSql,
  firstResultsSql,
} from "../../rules/counting.ts";
import { isForcedSql } from "../../rules/forcing.ts";
import { cellsAfterAddingSql, firstSlow } from "../../rules/segments.ts";
import { storedStateSql } from "../../rules/state.ts";
import { areSharesDueSql } from "../../rules/tripping.ts";
import { AGGREGATED, packCircuit, packKeyedCircuit, toCircuits } from "../codec.ts";
import { textArray } from "../text_array.ts";
import { nextVersion } from "./change.ts";
import type { Row, Statement, StatementContext } from "./context.ts";
import { openedColumnsSql } from "./opening.ts";
import { timeOf } from "./read.ts";
import type { Tally } from "./record.ts";
import { verdictSql } from "./verdict.ts";

/** A circuit after a record. */
export interface RecordedCircuit extends Circuit {
  /** The rows of the log that the whole statement wrote, with its first circuit; absent for none. */
  logged?: readonly OwnChange[];
}

type Record<Args extends unknown[]> = Statement<Args, RecordedCircuit[]>;

/** Counts results of several circuits, and opens those that are due. */
export function recordAndTripStatement(
  context: StatementContext,
): Record<[tallies: readonly Tally[], actor: string]> {
  const calls = context.calls({
    key: "text",
    failures: "bigint",
    successes: "bigint",
    slow: "bigint",
  });
  const clock = `(select ${context.now} as now offset 0) as clock`;
  return {
    action: "record results",
    text: `with written as (${insert(context)}
from (${calls}) as call, ${clock}
order by call.key collate "C"
on conflict (key) do update set ${judged(context)}
${returning(context, packKeyedCircuit(context, "c.updated_at"))}), ${logged(context)}
select ${AGGREGATED}, ${LOGGED} as logged from written`,
    encode: (tallies, actor) => [
      textArray(tallies.map(({ key }) => key)),
      textArray(tallies.map(({ failures }) => failures)),
      textArray(tallies.map(({ successes }) => successes)),
      textArray(tallies.map(({ slow = 0 }) => slow)),
      actor,
    ],
    decode: (rows) => recorded(rows),
    timeOf,
  };
}

/** Counts results of one circuit, and opens it where it is due. */
export function recordOneAndTripStatement(
  context: StatementContext,
): Record<[tally: Tally, actor: string]> {
  const bigint = (index: number) => `${context.param(index)}::bigint`;
  return {
    action: "record result",
    text: `with written as (${insert(context)}
from (select ${context.param(0)} as key, ${bigint(1)} as failures, ${bigint(2)} as successes,
  ${bigint(3)} as slow) as call, (select ${context.now} as now offset 0) as clock
on conflict (key) do update set ${judged(context)}
${returning(context, packCircuit(context, "c.updated_at"))}), ${logged(context)}
select circuit, ${LOGGED} as logged from written`,
    encode: ({ key, failures, successes, slow = 0 }, actor) => [
      key,
      `${failures}`,
      `${successes}`,
      `${slow}`,
      actor,
    ],
    decode: (rows, { key }) => recorded(rows, key),
    timeOf,
  };
}

/** SQL: the rows of the log that the statement wrote; null for none. */
const LOGGED = `(
  select pg_catalog.json_agg(pg_catalog.json_build_array(logged.key, logged.cause))::text from logged
)`;

function recorded(rows: Row[], key?: string): RecordedCircuit[] {
  const circuits: RecordedCircuit[] = toCircuits(rows, key);
  const logged = rows[0]?.logged;
  if (typeof logged === "string") {
    circuits[0]!.logged = (JSON.parse(logged) as [key: string, cause: LogCause][]).map(
      ([key, cause]) => ({ key, from: "closed", to: cause === "trip" ? "open" : "closed", cause }),
    );
  }
  return circuits;
}

/** The results of the row that was not inserted. */
const ADDED = {
  failures: "excluded.failure_count",
  successes: "excluded.success_count",
  slow: firstSlow("excluded.call_segments"),
};

/** Selects a new row from `call` and `clock`. */
function insert({ table, rules }: StatementContext): string {
  const added = { failures: "call.failures", successes: "call.successes", slow: "call.slow" };
  const columns: { [column: string]: string } = {
    key: "call.key",
    success_count: added.successes,
    last_failure_time: `case when ${added.failures} > 0 then clock.now else 0 end`,
    updated_at: "clock.now",
    ...firstResultsSql(added, "clock.now", rules),
  };
  return `insert into ${table.quoted} as c (${Object.keys(columns).join(", ")})
select ${Object.values(columns).join(", ")}`;
}

function returning({ rules, relaxation }: StatementContext, packed: string): string {
  return `returning ${packed}, c.key, c.trips, c.version, c.updated_at, c.state, c.success_count,
  case when c.trips then ${
    countFailuresSql("c", "c.updated_at", rules)
  } else 0 end as failures_then${relaxation}`;
}

/** Writes the log of what the statement has `written`. */
function logged(context: StatementContext): string {
  return `logged as (
  insert into ${context.table.changes.quoted}
    (version, xid, key, at, from_state, to_state, cause, actor, role, reason,
      failure_count, success_count)
  select version, pg_current_xact_id(), key, updated_at, 'closed',
    case when state = 'open' then 'open' else 'closed' end,
    case when state = 'open' then 'trip' else 'suspect' end,
    ${context.param(4)}, session_user::text, null, failures_then, success_count
  from written where trips
  returning key, cause
)`;
}

/** What is done with a row, as a number: numbers compare at less cost than words. */
const VERDICTS = { none: 0, trip: 1, suspect: 2, unlogged: 3 };

/**
 * The assignments to a row. Each level selects from the one before: the time, after the row's lock was
 * got; what the row counts; whether it is due; the verdict, where the log may know better; the columns.
 */
function judged(context: StatementContext): string {
  const { rules, table } = context;
  const { rates } = rules.trip;
  const counts = countResultsSql("c", ADDED, "clock.now", rules);
  const counted = Object.entries(counts).map(([column, value]) => `${value} as ${column}`);
  if (rates !== undefined) {
    counted.push(`${cellsAfterAddingSql("c.call_segments", "clock.now", rates.windowMs)} as cells`);
  }
  const isRateDue = rates === undefined
    ? "false"
    : areSharesDueSql("m.call_segments", "m.cells", rates);
  const { none, trip, suspect, unlogged } = VERDICTS;
  return `(${Object.keys(columnsOf(context)).join(", ")}) = (
  select ${Object.values(columnsOf(context)).join(",\n    ")}
  from (
    select d.*, case when d.due is null then ${none} when c.version = 0 and coalesce((
      select to_state from ${table.changes.quoted} as change
      where change.key = c.key order by change.version desc limit 1
    ), 'closed') <> 'closed' then ${unlogged}
      else case d.due when 'trip' then ${trip} when 'suspect' then ${suspect} else ${none} end
      end as verdict
    from (
      select m.*, case when ${storedStateSql("c")} = 'closed' and c.logged_state = 'closed'
        and not ${isForcedSql("c", "m.now")} then ${
    verdictSql(context, "m.now", "m", isRateDue)
  } end as due
      from (
        select clock.now, ${counted.join(",\n        ")}
        from (select ${context.now} as now offset 0) as clock offset 0
      ) as m offset 0
    ) as d offset 0
  ) as v
)`;
}

/** The columns that a record writes. They see what is counted and judged as `v`. */
function columnsOf({ rules, table }: StatementContext): { [column: string]: string } {
  const counts = countResultsSql("c", ADDED, "", rules);
  const { trip, suspect, unlogged } = VERDICTS;
  const ifTrips = (column: string, value: string) =>
    `case v.verdict when ${trip} then ${value} else c.${column} end`;
  const isChanged = `v.verdict in (${trip}, ${suspect})`;
  return {
    ...Object.fromEntries(Object.keys(counts).map((column) => [column, `v.${column}`])),
    success_count: addCountSql("c.success_count", ADDED.successes),
    last_failure_time: `case when ${ADDED.failures} > 0 then v.now else c.last_failure_time end`,
    updated_at: "v.now",
    trips: isChanged,
    version: `case when ${isChanged} then ${nextVersion(table)} else c.version end`,
    state: ifTrips("state", "'open'"),
    ...Object.fromEntries(
      Object.entries(openedColumnsSql("c", "v.now", rules))
        .map(([column, value]) => [column, ifTrips(column, value)]),
    ),
    // A row that the log knows in another state: the next read notices that.
    logged_state:
      `case when v.verdict in (${trip}, ${unlogged}) then 'open' else c.logged_state end`,
    // A forced state that has ended goes away: the clock can be set back.
    forced_state: ifTrips("forced_state", "null"),
    forced_until: ifTrips("forced_until", "null"),
    vote_labels: ifTrips("vote_labels", "null"),
    vote_seen: ifTrips("vote_seen", "null"),
    voters: ifTrips("voters", "null"),
    refused_count: ifTrips("refused_count", "0"),
    ...rules.trip.rates !== undefined && {
      suspect_at: `case v.verdict when ${trip} then 0 when ${suspect} then v.now
      else c.suspect_at end`,
    },
  };
}
