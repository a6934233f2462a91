/**
 * The form of every statement that changes circuits. It locks its rows in the order of their keys, judges
 * them, writes them, and writes the log, all in one step. So no change is without its row in the log, and
 * none can be invented.
 *
 * The statement also notices what others did to a row: where the fleet sees another state than the log
 * said last, it logs that first, with a version of its own. The log of a circuit is a chain therefore.
 */

import type { Circuit } from "../../circuit.ts";
import type { LogCause, OwnChange } from "../../ports.ts";
import { countFailuresSql, zeroFailuresSql } from "../../rules/counting.ts";
import {
  effectiveState,
  effectiveStateSql,
  hasForceSql,
  isForcedSql,
} from "../../rules/forcing.ts";
import { unloggedCauseSql } from "../../rules/logging.ts";
import { isZeroedSql } from "../../rules/moving.ts";
import { refusedAfterSql } from "../../rules/refusing.ts";
import { storedStateSql } from "../../rules/state.ts";
import type { CircuitState } from "../../types.ts";
import { packKeyedCircuit, toCircuits } from "../codec.ts";
import type { TableName } from "../identifier.ts";
import { BY_INDEX, type Row, type StatementContext } from "./context.ts";

/** The state that an operator forces on a circuit, as expressions. */
export interface ForcedColumns {
  readonly state: string;
  readonly at: string;
  readonly until: string;
  readonly reason: string;
  readonly by: string;
}

/**
 * What a statement changes. The expressions see the row as it was as `c`, with the columns of the calls,
 * `c.now`, and those of `judged`.
 */
export interface ChangePlan {
  /** Selects the calls: a column `key`, no key twice, and the columns of `given`. */
  readonly calls: string;
  /** The columns of the calls beside the key. */
  readonly given?: readonly string[];
  /** Whether rows that are locked are left out. By default the statement waits for them. */
  readonly skipsLocked?: boolean;
  /** Conditions by their names, one after the other: each sees the ones before. */
  readonly judged?: readonly (readonly [name: string, expression: string])[];
  /** Whether the circuit changes, so that it takes a version and a row of the log. */
  readonly changes: string;
  /** Whether the row is written although the circuit does not change. */
  readonly writes?: string;
  /** The circuit's own state after the change. */
  readonly state: string;
  /** What zeroes counters: a state that the circuit moves to. */
  readonly zeroesLike: string;
  /** The forced state after the change, where the statement decides on it. */
  readonly forced?: ForcedColumns;
  readonly cause: string;
  /** Who changes it, and why: parameters. */
  readonly actor: string;
  readonly reason: string;
  /** Other columns that a written row gets. */
  readonly set: Readonly<Record<string, string>>;
  /** Columns that the statement returns beside the circuit, by name. */
  readonly returned?: Readonly<Record<string, string>>;
}

const UNFORCED: ForcedColumns = {
  state: "null",
  at: "null",
  until: "null",
  reason: "null",
  by: "null",
};

/** The text of a statement that changes circuits. */
export function changeSql(context: StatementContext, plan: ChangePlan): string {
  const { table } = context;
  const given = (plan.given ?? []).map((name) => `, call.${name}`).join("");
  const levels = plan.judged ?? [];
  const judged = levels.map(([name, expression], i) =>
    `judged_${i} as (select c.*, ${expression} as ${name} from ${source(i)} as c)`
  );
  const returned = Object.entries(plan.returned ?? {});
  return `with call as materialized (
  ${plan.calls}
), held as (
  select c.*${given} from call join ${table.quoted} as c on c.key = call.key and ${BY_INDEX}
  order by c.key collate "C" for update of c${plan.skipsLocked ? " skip locked" : ""}
), clocked as materialized (
  -- After the locks were got: a wait for them must not make the time old.
  select *, ${context.now} as now from held
), seen as (
  -- A row without a version is new: the log knows whether its key was removed by another program.
  select c.*, ${effectiveStateSql("c", "c.now")} as seen_state, case when c.version = 0
    then coalesce((
      select to_state from ${table.changes.quoted} as change
      where change.key = c.key order by change.version desc limit 1
    ), c.logged_state) else c.logged_state end as known_state
  from clocked as c
), noticed as materialized (
  select c.*, ${unloggedCauseSql("c", "c.known_state", "c.now")} as noticed_cause,
    case when c.seen_state <> c.known_state then ${
    nextVersion(context.table)
  } end as noticed_version
  from seen as c
), ${judged.map((each) => `${each}, `).join("")}decided as materialized (
  select c.*, case when ${plan.changes} then ${nextVersion(context.table)} end as new_version
  from ${source(levels.length)} as c
), written as (
  update ${table.quoted} as t set ${assignments(plan)}
  from decided as c
  where t.key = c.key and (c.new_version is not null or c.noticed_version is not null${
    plan.writes === undefined ? "" : ` or ${plan.writes}`
  })
  returning t.*, c.now, c.seen_state, c.known_state, c.noticed_cause, c.noticed_version, c.new_version,
    ${plan.cause} as cause, ${countFailuresSql("c", "c.now", context.rules)} as failures_then,
    c.success_count as successes_then${
    returned.map(([name, expression]) => `, ${expression} as ${name}`).join("")
  }
), logged as (
  insert into ${table.changes.quoted}
    (version, xid, key, at, from_state, to_state, cause, actor, role, reason,
      failure_count, success_count)
  select noticed_version, pg_current_xact_id(), key, now, known_state, seen_state, noticed_cause,
    '', '', null, failures_then, successes_then
  from written where noticed_version is not null
  union all
  select new_version, pg_current_xact_id(), key, now, seen_state, ${
    effectiveStateSql("w", "w.now")
  }, cause, ${plan.actor}, session_user::text, ${plan.reason}, failures_then, successes_then
  from written as w where new_version is not null
)
select ${packKeyedCircuit(context, "now")}${returned.map(([name]) => `, ${name}`).join("")},
  ${LOGGED} as logged
from written as c
union all
select ${packKeyedCircuit(context, "now")}${
    returned.map(([name, expression]) => `, ${expression} as ${name}`).join("")
  }, null::text from decided as c
where c.new_version is null and c.noticed_version is null${
    plan.writes === undefined ? "" : ` and not ${plan.writes}`
  }`;
}

/** SQL: what the log got about a row, in the form of {@linkcode Logged}; null for nothing. */
const LOGGED = `case when noticed_version is not null or new_version is not null
    then pg_catalog.json_build_array(case when noticed_version is not null then known_state end,
      seen_state, noticed_cause, case when new_version is not null then cause end)::text end`;

/** From which state to which others moved it, and why; then why the statement changed it. */
type Logged = [
  known: CircuitState | null,
  seen: CircuitState,
  noticedCause: LogCause,
  cause: LogCause | null,
];

/** The level before the judgement of a number. */
function source(level: number): string {
  return level === 0 ? "noticed" : `judged_${level - 1}`;
}

/** A number of the table's sequence. It only grows, so a version never comes back. */
export function nextVersion(table: TableName): string {
  return `nextval(${table.versions.literal}::regclass)`;
}

function assignments(plan: ChangePlan): string {
  const isChanged = "c.new_version is not null";
  const isZeroed = (counter: "failures" | "successes") =>
    `${isChanged} and ${isZeroedSql(counter, plan.zeroesLike)}`;
  const forced = plan.forced ?? UNFORCED;
  // What has ended by its time goes away with the next write: the clock can be set back.
  const changesForce = plan.forced === undefined
    ? `${hasForceSql("c")} and not ${isForcedSql("c", "c.now")}`
    : "true";
  const force = (column: string, value: string) =>
    `case when ${changesForce} then ${value} else c.${column} end`;
  const state = `case when ${isChanged} then ${plan.state} else c.state end`;
  // Votes are for the opening of a closed circuit, and what zeroes its failures ends them.
  const forcesOpen = plan.forced === undefined
    ? "false"
    : `coalesce(${plan.forced.state} = 'open', false)`;
  const endsVotes = `${isChanged} and (${plan.state} in ('open', 'half-open') or ${
    isZeroedSql("failures", plan.zeroesLike)
  } or ${forcesOpen})`;
  // Those who voted for an opening are known until the circuit closes.
  const endsVoters = `${isChanged} and (${storedStateSql("c")} = 'closed' or ${
    storedAfter(plan.state)
  } = 'closed')`;
  const isForced = plan.forced === undefined
    ? isForcedSql("c", "c.now")
    : `coalesce(${forced.state} in ('open', 'closed') and coalesce(c.now < ${forced.until}, true), false)`;
  const forcedState = plan.forced === undefined ? "c.forced_state" : forced.state;
  const loggedState = `case when ${isForced} then ${forcedState} else ${storedAfter(state)} end`;
  // The circuit was closed as the log says, or as others left it.
  const before = "(case when c.seen_state = 'closed' then c.seen_state else c.known_state end)";
  const columns: Record<string, string> = {
    state,
    ...mapValues(
      { ...zeroFailuresSql("c"), suspect_at: "0" },
      (column, zero) => `case when ${isZeroed("failures")} then ${zero} else c.${column} end`,
    ),
    success_count: `case when ${isZeroed("successes")} then 0 else c.success_count end`,
    version: "coalesce(c.new_version, c.noticed_version, c.version)",
    zeroed_version: `case when ${
      isZeroed("successes")
    } then c.new_version else c.zeroed_version end`,
    logged_state: loggedState,
    forced_state: force("forced_state", forced.state),
    forced_at: force("forced_at", forced.at),
    forced_until: force("forced_until", forced.until),
    forced_reason: force("forced_reason", forced.reason),
    forced_by: force("forced_by", forced.by),
    vote_labels: `case when ${endsVotes} then null else c.vote_labels end`,
    vote_seen: `case when ${endsVotes} then null else c.vote_seen end`,
    voters: `case when ${endsVoters} then null else c.voters end`,
    refused_count: refusedAfterSql("c", before, loggedState),
    updated_at: "c.now",
    ...plan.set,
  };
  return Object.entries(columns).map(([name, value]) => `\n    ${name} = ${value}`).join(",");
}

function mapValues(
  columns: Readonly<Record<string, string>>,
  map: (column: string, value: string) => string,
): Record<string, string> {
  const mapped = Object.entries(columns).map(([name, value]) => [name, map(name, value)]);
  return Object.fromEntries(mapped);
}

/** A state that this release does not know counts as closed. */
function storedAfter(state: string): string {
  return `case when ${state} in ('open', 'half-open') then ${state} else 'closed' end`;
}

/** What a statement returns of a circuit that it changed, or left as it was. */
export interface ChangedCircuit extends Circuit {
  /** The rows of the log that the statement wrote about it. */
  logged: readonly OwnChange[];
}

const NOTHING: readonly OwnChange[] = [];

/** Reads the rows of {@linkcode changeSql}. */
export function toChangedCircuits(rows: Row[]): ChangedCircuit[] {
  return rows.map((row) => {
    const circuit = toCircuits([row])[0]!;
    return { ...circuit, logged: row.logged === null ? NOTHING : toOwnChanges(row, circuit) };
  });
}

function toOwnChanges({ logged }: Row, circuit: Circuit): OwnChange[] {
  const { key } = circuit;
  const [known, seen, noticedCause, cause]: Logged = JSON.parse(String(logged));
  const changes: OwnChange[] = [];
  if (known !== null) changes.push({ key, from: known, to: seen, cause: noticedCause });
  if (cause !== null) {
    changes.push({ key, from: seen, to: effectiveState(circuit, circuit.readAt), cause });
  }
  return changes;
}
