/** Reading the log: what changed since a cursor. */

import type { LogCursor } from "../../ports.ts";
import { isUnloggedSql } from "../../rules/logging.ts";
import { TOKEN_ID } from "../catalogue.ts";
import { readWhereWritable, textOf } from "../codec.ts";
import { BY_INDEX, type Row, type Statement, type StatementContext } from "./context.ts";

/** What a look at the log found. */
export interface FoundNews {
  readonly cursor: LogCursor;
  readonly isBreak: boolean;
  readonly isTooLong: boolean;
  /** The keys of the circuits that changed, also by what is not in the log yet. */
  readonly keys: readonly string[];
}

/** What was found; `undefined` where the table of the epoch is empty and an id must be written first. */
export type FoundTail = FoundNews | undefined;

/**
 * SQL: which run of which server and which log this is. Another run is a break: after a crash,
 * transaction ids are used again, and only the unlogged table shows that. Null where that is empty.
 */
export function runSql({ table }: StatementContext): string {
  return `(select pg_catalog.format('%s.%s.%s',
    (date_part('epoch', pg_postmaster_start_time()) * 1000000::double precision)::bigint,
    pg_relation_filenode(${table.changes.literal}::regclass), id)
  from ${table.epoch.quoted})`;
}

/** SQL: `true` where retention removed rows that were not visible at the cursor, as JSON. */
export function wasPrunedSql({ table }: StatementContext, xmax: string, xips: string): string {
  return `case when (select pruned_xid >= ${xmax} or pruned_xid = any(${xips})
    from ${table.instances.quoted} where id = '${TOKEN_ID}') then 'true' else 'false' end`;
}

/** SQL: rows that this statement's own transaction wrote count as not visible yet. */
export const IS_FOREIGN = "xid is distinct from pg_current_xact_id_if_assigned()";

/** The parts of a snapshot that a statement needs. */
export function snapshotParams(cursor: LogCursor): [xmax: string, xips: string] {
  const [, xmax, xips] = cursor.snapshot.split(":");
  return [xmax!, `{${xips}}`];
}

/**
 * SQL: whether a row was written by one of the transactions that were running at the cursor. The range holds
 * all of them. It is for the planner, to which an array without a range can seem to be the whole log: where
 * most rows have the same id, as in a restored log.
 */
export function wasRunningSql(xmax: string, xips: string): string {
  return `xid >= (select (${xips})[1]) and xid < (select ${xmax}) and xid = any((select ${xips})::xid8[])`;
}

/** The cursor alone: from where to go on. */
export function cursorStatement(context: StatementContext): Statement<[], FoundTail> {
  return {
    action: "read changes",
    isRead: true,
    hasNoClock: true,
    text: readWhereWritable(
      `pg_catalog.json_build_array(pg_current_snapshot()::text, ${runSql(context)})::text`,
    ),
    encode: () => [],
    decode(rows) {
      const [snapshot, run] = JSON.parse(textOf(rows[0]!.circuit)!) as [string, string | null];
      if (run === null) return undefined;
      return { cursor: { snapshot, run, version: 0 }, isBreak: false, isTooLong: false, keys: [] };
    },
  };
}

/** Rows of the log that a look reads at most for each circuit that it may find. */
const ROWS_PER_KEY = 4;

/**
 * SQL: the keys of circuits that other programs changed and that no instance has noticed yet, as JSON. Those
 * whose rows are locked stay here until they are not. The first condition is that of `UNLOGGED_INDEX`. The
 * range of the states is for the planner, which takes the index then: it cannot know that few rows are in
 * it.
 */
function unloggedSql({ table, statementTime }: StatementContext, limit: number): string {
  return `coalesce((select pg_catalog.json_agg(key)::text from (
    select key from ${table.quoted} as c
    where coalesce(c.forced_state, c.state) <> c.logged_state and ${
    isUnloggedSql("c", "c.logged_state", statementTime)
  }
      and c.logged_state >= (select 'closed'::text) and c.logged_state <= (select 'open'::text)
      and ${BY_INDEX}
    limit ${limit}
  ) as unlogged), '[]')`;
}

/**
 * The keys of the circuits that changed since a cursor, and of those that other programs changed by plain
 * SQL. New is exactly what was not visible then. A row that this statement's own transaction wrote counts
 * as not visible yet, in case that there is one.
 *
 * The planner does not know the cursor, also where it knows the parameters: a plan that was made for
 * their values would always seem cheaper to it than one for all cursors, and it would plan each time,
 * which costs five times what the statement does. A range with both its ends seems small to it, and so do
 * the limits, which are part of the text: it takes the index then.
 */
export function tailStatement(
  context: StatementContext,
  limit: number,
): Statement<[cursor: LogCursor], FoundTail> {
  const log = context.table.changes.quoted;
  const xmax = `${context.param(0)}::xid8`;
  const xips = `${context.param(1)}::xid8[]`;
  const branch = (condition: string) =>
    `(select key from ${log} as c where ${condition} and ${IS_FOREIGN} and ${BY_INDEX}
    order by xid limit ${limit * ROWS_PER_KEY + 1})`;
  return {
    action: "read changes",
    isRead: true,
    text: readWhereWritable(
      `pg_catalog.format('[%s,%s,%s,%s,%s,%s]',
  pg_catalog.to_json(pg_current_snapshot()::text),
  coalesce(pg_catalog.to_json(${runSql(context)})::text, 'null'),
  ${wasPrunedSql(context, xmax, xips)},
  (select count(*) from news),
  coalesce((select pg_catalog.json_agg(key)::text from (select distinct key from news limit ${
        limit + 1
      }) as changed), '[]'),
  ${unloggedSql(context, limit)}
)`,
      `with news as materialized (
  ${branch(`xid >= (select ${xmax}) and xid < pg_snapshot_xmax(pg_current_snapshot())`)}
  union all
  ${branch(wasRunningSql(xmax, xips))}
)
`,
    ),
    encode: snapshotParams,
    decode: (rows, cursor) => toNews(rows, cursor, limit),
  };
}

function toNews(rows: Row[], cursor: LogCursor, limit: number): FoundTail {
  const [snapshot, run, isPruned, rowCount, changed, unlogged] = JSON.parse(
    textOf(rows[0]!.circuit)!,
  ) as [string, string | null, boolean, number, string[], string[]];
  if (run === null) return undefined;
  return {
    cursor: { snapshot, run, version: 0 },
    isBreak: isPruned || isBreak(cursor, snapshot, run),
    isTooLong: rowCount > limit * ROWS_PER_KEY || changed.length > limit,
    keys: unlogged.length === 0 ? changed : [...new Set([...changed, ...unlogged])],
  };
}

/** Whether changes since a cursor can be missing: other ids, or ids that were used before. */
export function isBreak(cursor: LogCursor, snapshot: string, run: string): boolean {
  return run !== cursor.run || xmaxOf(snapshot) < xmaxOf(cursor.snapshot);
}

function xmaxOf(snapshot: string): bigint {
  return BigInt(snapshot.split(":")[1]!);
}

/** Writes the id of this run, unless another instance was faster. */
export function epochStatement({ table }: StatementContext): Statement<[id: string], void> {
  return {
    action: "read changes",
    hasNoClock: true,
    text: `insert into ${table.epoch.quoted} (id) values ($1::text) on conflict do nothing`,
    encode: (id) => [id],
    decode: () => {},
  };
}
