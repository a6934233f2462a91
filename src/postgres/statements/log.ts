/** Reading pages of the log itself, for watches and for the history. */

import type { LogCause, LoggedChange, LogPage, LogRequest } from "../../ports.ts";
import type { CircuitState } from "../../types.ts";
import { readWhereWritable, textOf } from "../codec.ts";
import { BY_INDEX, type Row, type Statement, type StatementContext } from "./context.ts";
import { HIDDEN_CAUSES } from "./read.ts";
import {
  IS_FOREIGN,
  isBreak,
  runSql,
  snapshotParams,
  wasPrunedSql,
  wasRunningSql,
} from "./tail.ts";

/** A page; `undefined` where the table of the epoch is empty and an id must be written first. */
export type FoundLog = (LogPage & { readonly hasExpired: boolean }) | undefined;

/** A row of the log, as a JSON array. */
type PackedChange = [
  version: number,
  key: string,
  at: number,
  from: CircuitState,
  to: CircuitState,
  cause: LogCause,
  actor: string,
  role: string,
  reason: string | null,
  failureCount: number,
  successCount: number,
];

/** Which conditions a page has: each combination is a statement of its own. */
export type LogShape = Record<"after" | "until" | "key" | "since" | "hasRounds", boolean>;

/** The shape of a request. */
export function shapeOf(request: LogRequest): LogShape {
  return {
    after: request.after !== undefined,
    until: request.until !== undefined,
    key: request.key !== undefined,
    since: request.since !== undefined,
    hasRounds: request.hasRounds,
  };
}

/**
 * A page of the log in the order of the versions.
 *
 * `since` begins at the lowest version of the first rows at that time: versions and times can cross, but
 * only among changes of about the same moment.
 */
export function logStatement(
  context: StatementContext,
  shape: LogShape,
): Statement<[request: LogRequest], FoundLog> {
  const { table } = context;
  const log = table.changes.quoted;
  const params: ((request: LogRequest) => string | null)[] = [];
  /** The next parameter: a page has only those of its conditions. */
  const param = (type: string, valueOf: (request: LogRequest) => string | null) =>
    `${context.param(params.push(valueOf) - 1)}::${type}`;
  const above = param("bigint", ({ afterVersion }) => `${afterVersion ?? -1}`);
  const limit = param("int", ({ limit }) => `${limit}`);
  const after = shape.after
    ? {
      xmax: param("xid8", ({ after }) => snapshotParams(after!)[0]),
      xips: param("xid8[]", ({ after }) => snapshotParams(after!)[1]),
      version: param("bigint", ({ after }) => `${after!.version}`),
    }
    : undefined;
  const since = shape.since ? param("bigint", ({ since }) => `${since}`) : undefined;
  // The planner is kept from knowing the cursor, so that it does not plan anew each time. A range with
  // both its ends seems small to it: it takes the indexes then. The fence keeps it from reading the log
  // in the order of the versions instead.
  const source = after
    ? `(select c.* from ${log} as c where (xid >= (select ${after.xmax}) and xid < ceiling
          or ${wasRunningSql(after.xmax, after.xips)}
          or version > (select ${after.version}) and version <= top)
        and ${BY_INDEX} offset 0)`
    : log;
  const conditions = [
    `version > ${above}`,
    "version <= top",
    IS_FOREIGN,
    // Ids can have been used again since, after a crash: their rows have higher versions.
    ...shape.until
      ? [
        `version <= ${param("bigint", ({ until }) => `${until!.version}`)}`,
        `pg_visible_in_snapshot(xid, ${param("pg_snapshot", ({ until }) => until!.snapshot)})`,
      ]
      : [],
    ...shape.key ? [`key = ${param("text", ({ key }) => key!)}`] : [],
    ...since
      ? [
        `at >= ${since}`,
        `version >= (select min(version) from (
      select version from ${log} where at >= ${since} order by at limit 1000
    ) as first)`,
      ]
      : [],
    ...shape.hasRounds
      ? ["cause not in ('suspect', 'zeroed')"]
      : [`cause not in (${HIDDEN_CAUSES})`],
  ];
  const wasPruned = after ? wasPrunedSql(context, after.xmax, after.xips) : "'false'";
  return {
    action: "read changes",
    isRead: true,
    text: readWhereWritable(`select pg_catalog.format('[%s,%s,%s,%s,%s,%s,%s]',
  pg_catalog.to_json(snapshot::text), coalesce(pg_catalog.to_json(${
      runSql(context)
    })::text, 'null'), coalesce(top, 0),
  ${wasPruned},
  case when exists (
    select from ${table.quoted} as c where c.forced_until is not null
      and c.forced_until <= ${context.statementTime} and c.forced_state <> c.state
      and c.logged_state = c.forced_state and ${BY_INDEX}
  ) then 'true' else 'false' end,
  ${context.now}, coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_array(version, key, at, from_state, to_state, cause, actor, role,
      reason, failure_count, success_count) order by version)::text
    from (
      select change.* from ${source} as change where ${conditions.join("\n        and ")}
      order by version limit ${limit}
    ) as page
  ), '[]'))
from (
  select pg_current_snapshot() as snapshot, pg_snapshot_xmax(pg_current_snapshot()) as ceiling,
    (select max(version) from ${log}) as top
) as moment`),
    encode: (request) => params.map((valueOf) => valueOf(request)),
    decode: toLogPage,
    timeOf: (page) => page?.readAt,
  };
}

function toLogPage(rows: Row[], { after }: LogRequest): FoundLog {
  const [snapshot, run, version, isPruned, hasExpired, readAt, changes] = JSON.parse(
    textOf(rows[0]!.circuit)!,
  ) as [string, string | null, number, boolean, boolean, number, PackedChange[]];
  if (run === null) return undefined;
  return {
    changes: changes.map(toChange),
    cursor: { snapshot, run, version },
    isBreak: after !== undefined && (isPruned || isBreak(after, snapshot, run)),
    hasExpired,
    readAt,
  };
}

function toChange(packed: PackedChange): LoggedChange {
  const [version, key, at, from, to, cause, actor, role, reason, failureCount, successCount] =
    packed;
  return {
    key,
    version,
    at,
    from,
    to,
    cause,
    actor,
    role,
    reason: reason ?? undefined,
    failureCount,
    successCount,
  };
}
