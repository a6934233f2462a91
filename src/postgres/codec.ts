/** How circuits come back from a statement: the SQL that packs them, and what reads them. */

import { type Circuit, type CircuitDetails, type ForcedState, NO_DETAILS } from "../circuit.ts";
import { describe } from "../describe.ts";
import { CircuitBreakerStoreError, StoreUnavailableError } from "../errors.ts";
import { countFailuresSql } from "../rules/counting.ts";
import { hasForceSql } from "../rules/forcing.ts";
import { isUnloggedSql } from "../rules/logging.ts";
import { stateCodeSql, stateOfCode } from "../rules/state.ts";
import { MAX_COUNT } from "../types.ts";
import type { Row, StatementContext } from "./statements/context.ts";

/**
 * What every statement returns of a circuit: a JSON array in a text column. What a driver does for a
 * column costs more than what this library does for all of them, and a text comes back the same from
 * every driver. `JSON.parse` takes 0.38 to 0.95 us for a circuit, and a reader of our own for a packed
 * text took 0.50 to 0.78 (1, 64 and 500 circuits in a text, Deno 2.9 on two cores).
 *
 * {@linkcode toCircuits} reads it.
 */
export function packCircuit(context: StatementContext, now: string = context.now): string {
  return packed(context, now, false);
}

/** The same with the key, for statements that may return many circuits. */
export function packKeyedCircuit(context: StatementContext, now: string = context.now): string {
  return packed(context, now, true);
}

/**
 * What a `circuit` column adds up to: all rows in one, because what a driver and the server do for a
 * row costs more than the rest. Without any row it is null.
 */
export const AGGREGATED = "'[' || string_agg(circuit, ',') || ']' as circuit";

/** A packed circuit: its fields in their order. */
type Packed = [
  readAt: number,
  /** The code of its own state, plus {@linkcode UNLOGGED}. */
  stateCode: number,
  failureCount: number,
  successCount: number,
  lastFailureTime: number,
  lastStateChange: number,
  version: number,
  zeroedVersion: number,
  openedAt: number,
  probeCount: number,
  probeExpiresAt: number,
  forced: PackedForce | null,
  details: PackedDetails | null,
  key?: string,
];

type PackedDetails = [
  probeSettled: number,
  resetMs: number,
  suspectAt: number,
  voteLabels: string[] | null,
  voteSeen: number[] | null,
];

interface PackedForce {
  forced_state: "open" | "closed";
  /** Null where it was forced by hand, with the state alone. */
  forced_at: number | null;
  forced_until: number | null;
  forced_reason: string | null;
  forced_by: string | null;
}

/** Added to the code of a state where the fleet sees another state than the log said last. */
const UNLOGGED = 4;

function packed({ rules }: StatementContext, now: string, isKeyed: boolean): string {
  const isProbing = rules.probing !== undefined;
  const fields = [
    now,
    // Most circuits are in the state that the log knows, and nothing is forced.
    `case when c.forced_state is null and c.state = c.logged_state then ${stateCodeSql("c.state")}
      else ${stateCodeSql("c.state")} + case when ${
      isUnloggedSql("c", "c.logged_state", now)
    } then ${UNLOGGED} else 0 end end`,
    countFailuresSql("c", now, rules),
    "c.success_count",
    "c.last_failure_time",
    "c.last_state_change",
    "c.version",
    "c.zeroed_version",
    "c.opened_at",
    isProbing ? "c.probe_count" : "0",
    isProbing ? "c.probe_expires_at" : "0",
    `case when ${hasForceSql("c")} then ${FORCE} else 'null' end`,
    `case when ${HAS_NO_DETAILS} then 'null' else ${DETAILS} end`,
    ...isKeyed ? ["pg_catalog.to_json(c.key)"] : [],
  ];
  // `format` is the cheapest of what puts a text together.
  return `pg_catalog.format('[${fields.map(() => "%s").join()}]', ${fields.join(", ")}) as circuit`;
}

const FORCE =
  `pg_catalog.json_build_object('forced_state', c.forced_state, 'forced_at', c.forced_at,
      'forced_until', c.forced_until, 'forced_reason', c.forced_reason, 'forced_by', c.forced_by)`;

const HAS_NO_DETAILS = `c.probe_settled = 0 and c.reset_ms = 0 and c.suspect_at = 0
      and c.vote_labels is null`;

const DETAILS = `pg_catalog.json_build_array(c.probe_settled, c.reset_ms, c.suspect_at,
      c.vote_labels, c.vote_seen)::text`;

/** What a read returns instead of circuits where its session takes no writes. */
const READ_ONLY = "read-only";

/**
 * SQL: reads that say so where their session takes no writes. A standby, or a server that was the
 * primary before a failover, may be far behind, so its circuits are not an answer.
 *
 * @param read A select with one column and at most one row, or an expression.
 * @param named What it names before with `with`.
 */
export function readWhereWritable(read: string, named = ""): string {
  return `${named}select case when current_setting('transaction_read_only')::boolean then '${READ_ONLY}'
else (${read}) end as circuit`;
}

/** The circuits of all rows, under the one key that they were asked for, or under their own. */
export function toCircuits(rows: Row[], key?: string): Circuit[] {
  const circuits: Circuit[] = [];
  // By index: a driver's rows can be an array of a kind of its own, which is slow to go through.
  for (let i = 0; i < rows.length; i++) {
    const text = textOf(rows[i]!.circuit);
    if (text === undefined) continue;
    const value = JSON.parse(text);
    if (typeof value[0] !== "number") {
      for (const each of value) circuits.push(toCircuit(each, key));
    } else circuits.push(toCircuit(value, key));
  }
  return circuits;
}

/** Circuits that stand packed, with their keys, in a JSON text. */
export function unpackCircuits(packed: readonly unknown[]): Circuit[] {
  return packed.map((each) => toCircuit(each as Packed, undefined));
}

/** A column of a read: `undefined` for null. Throws where the session takes no writes. */
export function textOf(circuit: unknown): string | undefined {
  if (circuit === null) return undefined;
  if (circuit === READ_ONLY) throw readOnlyError();
  if (typeof circuit === "string") return circuit;
  throw new CircuitBreakerStoreError(
    `Cannot read circuits: expected rows with a text column "circuit", received ${
      describe(circuit)
    } there: "client" must return rows as objects, with the names and values of their columns`,
  );
}

/** The error of a session that takes no writes, as the server gives it to statements that write. */
export function readOnlyError(cause?: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    "Cannot use the database: the server takes no writes (a standby, or a failover in progress)",
    { sqlState: "25006", ...cause !== undefined && { cause } },
  );
}

function toCircuit(packed: Packed, key: string | undefined): Circuit {
  const isUnlogged = packed[1] >= UNLOGGED;
  return {
    key: key ?? packed[13]!,
    state: stateOfCode(isUnlogged ? packed[1] - UNLOGGED : packed[1]),
    failureCount: Math.min(packed[2], MAX_COUNT),
    successCount: Math.min(packed[3], MAX_COUNT),
    lastFailureTime: packed[4],
    lastStateChange: packed[5],
    version: packed[6],
    zeroedVersion: packed[7],
    openedAt: packed[8],
    probeCount: packed[9],
    probeExpiresAt: packed[10],
    forced: packed[11] === null ? undefined : toForced(packed[11], packed[5]),
    details: packed[12] === null ? NO_DETAILS : toDetails(packed[12]),
    readAt: packed[0],
    ...isUnlogged && { isUnlogged },
  };
}

function toDetails(
  [probeSettled, resetMs, suspectAt, labels, seen]: PackedDetails,
): CircuitDetails {
  const votes = (labels ?? []).map((label, i) => ({ label, seenAt: seen?.[i] ?? 0 }));
  return { probeSettled, resetMs, suspectAt, votes };
}

function toForced(force: PackedForce, lastStateChange: number): ForcedState {
  return {
    state: force.forced_state,
    at: force.forced_at ?? lastStateChange,
    until: force.forced_until ?? undefined,
    reason: force.forced_reason ?? undefined,
    by: force.forced_by ?? undefined,
  };
}
