/** Reading: one circuit, several, and pages of them. */

import type { Circuit } from "../../circuit.ts";
import type { ResolvedListOptions } from "../../options/list.ts";
import { effectiveStateSql } from "../../rules/forcing.ts";
import {
  AGGREGATED,
  packCircuit,
  packKeyedCircuit,
  readWhereWritable,
  textOf,
  toCircuits,
  unpackCircuits,
} from "../codec.ts";
import { MAX_COUNT } from "../../types.ts";
import { textArray } from "../text_array.ts";
import type { ListedCircuit, LogCause } from "../../ports.ts";
import { BY_INDEX, type Row, type Statement, type StatementContext } from "./context.ts";

type Read<Args extends unknown[]> = Statement<Args, Circuit[]>;

/** What a read of one circuit returns for a key that another program has removed. */
const REMOVED = "removed";

/**
 * Reads one circuit. Where it has no row, the statement asks the log whether it should be closed.
 *
 * @returns The circuit; nothing without a row; `"removed"` where the log knows the circuit in another
 * state than closed.
 */
export function readOneStatement(
  context: StatementContext,
): Statement<[key: string], Circuit[] | typeof REMOVED> {
  const { table } = context;
  const key = context.param(0);
  return {
    action: "read circuit",
    isRead: true,
    text: readWhereWritable(`coalesce((select ${packCircuit(context)}
from ${table.quoted} c where key = ${key}), (
  select case when to_state <> 'closed' then '${REMOVED}' end
  from ${table.changes.quoted} as change where change.key = ${key}
  order by change.version desc limit 1
))`),
    encode: (key) => [key],
    decode: (rows, key) => rows[0]?.circuit === REMOVED ? REMOVED : toCircuits(rows, key),
    timeOf: (read) => read === REMOVED ? undefined : timeOf(read),
  };
}

/**
 * Returns those keys without a row whose circuits the log knows in another state than closed: another
 * program has removed them.
 */
export function findRemovedStatement(
  { table }: StatementContext,
): Statement<[keys: readonly string[]], string[]> {
  return {
    action: "read circuits",
    isRead: true,
    hasNoClock: true,
    text: readWhereWritable(`coalesce((
  select pg_catalog.json_agg(call.key)::text from pg_catalog.unnest($1::text::text[]) as call (key)
  where not exists (select from ${table.quoted} as c where c.key = call.key)
    and 'closed' <> (
      select to_state from ${table.changes.quoted} as change where change.key = call.key
      order by change.version desc limit 1
    )
), '[]')`),
    encode: (keys) => [textArray(keys)],
    decode: (rows) => JSON.parse(textOf(rows[0]!.circuit)!),
  };
}

/** Reads the circuits that exist among the keys, in no order. */
export function readManyStatement(context: StatementContext): Read<[keys: readonly string[]]> {
  return {
    action: "read circuits",
    isRead: true,
    text: readWhereWritable(`select ${AGGREGATED} from (${selectMany(context)}) as found`),
    encode: (keys) => [textArray(keys)],
    decode: (rows) => toCircuits(rows),
    timeOf,
  };
}

/**
 * SQL: the rows of the keys in the first parameter. The planner does not see how many there are, so that
 * it plans once for all numbers.
 */
export function selectMany(context: StatementContext): string {
  return `select ${packKeyedCircuit(context, context.statementTime)}
from ${context.table.quoted} c where key = any((select ${context.param(0)}::text[])::text[])
and ${BY_INDEX}`;
}

/** Reads a page of circuits in the order of their keys. */
export function listStatement(
  context: StatementContext,
  hasCursor: boolean,
): Statement<[options: ResolvedListOptions], ListedCircuit[]> {
  const state = context.param(0);
  return {
    action: "list circuits",
    isRead: true,
    text: readWhereWritable(`select '[' || string_agg(
  pg_catalog.format('{"circuit":%s,"refused":%s,"last":%s}', circuit, refused_count,
    coalesce(last, 'null')), ',' order by key
) || ']' from (
  select key, refused_count, ${packKeyedCircuit(context)}, (
    select pg_catalog.json_build_array(change.cause, change.actor, change.reason)::text
    from ${context.table.changes.quoted} as change
    where change.key = c.key and change.cause not in (${HIDDEN_CAUSES})
    order by change.version desc limit 1
  ) as last from ${context.table.quoted} c
  where (${state} is null or ${effectiveStateSql("c", context.now)} = ${state})${
      hasCursor ? ` and key collate "C" > ${context.param(2)}` : ""
    } and (not ${isBlankSql("c")} or c.vote_labels is not null)
  order by key collate "C" limit ${context.param(1)}::int
) as page`),
    encode: ({ state, limit, after }) => [
      state ?? null,
      `${limit}`,
      ...hasCursor ? [after!] : [],
    ],
    decode: toListed,
    timeOf,
  };
}

/** SQL: the causes that are no changes of a state. */
export const HIDDEN_CAUSES = "'round', 'suspect', 'zeroed'";

/** A listed circuit, with the last change of it that is shown. */
interface Packed {
  circuit: unknown;
  refused: number;
  last: [cause: LogCause, actor: string, reason: string | null] | null;
}

function toListed(rows: Row[]): ListedCircuit[] {
  const text = textOf(rows[0]?.circuit ?? null);
  if (text === undefined) return [];
  const page: Packed[] = JSON.parse(text);
  return page.map(({ circuit, refused, last }) => ({
    ...unpackCircuits([circuit])[0]!,
    refusedCount: Math.min(refused, MAX_COUNT),
    ...last !== null && {
      lastCause: last[0],
      lastActor: last[1],
      lastReason: last[2] ?? undefined,
    },
  }));
}

/** SQL: whether a row holds nothing but its version, and so reads like an absent one. */
export function isBlankSql(row: string): string {
  return `(${row}.state = 'closed' and ${row}.failure_count = 0 and ${row}.success_count = 0
    and ${row}.last_failure_time = 0 and ${row}.last_state_change = 0 and ${row}.forced_state is null)`;
}

/** The server's time in what a statement returned of circuits. */
export function timeOf(circuits: readonly Circuit[]): number | undefined {
  return circuits[0]?.readAt;
}
