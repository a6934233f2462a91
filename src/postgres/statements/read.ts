/** Reading: one circuit, several, and pages of them. */

import type { Circuit } from "../../circuit.ts";
import type { ResolvedListOptions } from "../../options/list.ts";
import { effectiveStateSql } from "../../rules/forcing.ts";
import {
  AGGREGATED,
  packCircuit,
  packKeyedCircuit,
  readWhereWritable,
  toCircuits,
} from "../codec.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";

type Read<Args extends unknown[]> = Statement<Args, Circuit[]>;

/** Reads one circuit. */
export function readOneStatement(context: StatementContext): Read<[key: string]> {
  return {
    action: "read circuit",
    isRead: true,
    text: readWhereWritable(`select ${packCircuit(context)}
from ${context.table.quoted} c where key = ${context.param(0)}`),
    encode: (key) => [key],
    decode: toCircuits,
    timeOf,
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

/** SQL: the rows of the keys in the first parameter. */
export function selectMany(context: StatementContext): string {
  return `select ${packKeyedCircuit(context, context.statementTime)}
from ${context.table.quoted} c where key = any(${context.param(0)}::text[])
and ${BY_INDEX}`;
}

/** Reads a page of circuits in the order of their keys. */
export function listStatement(
  context: StatementContext,
  hasCursor: boolean,
): Read<[options: ResolvedListOptions]> {
  const state = context.param(0);
  return {
    action: "list circuits",
    isRead: true,
    text: readWhereWritable(`select '[' || string_agg(circuit, ',' order by key) || ']' from (
  select key, ${packKeyedCircuit(context)} from ${context.table.quoted} c
  where (${state} is null or ${effectiveStateSql("c", context.now)} = ${state})${
      hasCursor ? ` and key collate "C" > ${context.param(2)}` : ""
    }
  order by key collate "C" limit ${context.param(1)}::int
) as page`),
    encode: ({ state, limit, after }) => [
      state ?? null,
      `${limit}`,
      ...hasCursor ? [after!] : [],
    ],
    decode: (rows) => toCircuits(rows),
    timeOf,
  };
}

/** The server's time in what a statement returned of circuits. */
export function timeOf(circuits: Circuit[]): number | undefined {
  return circuits[0]?.readAt;
}
