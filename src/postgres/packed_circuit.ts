/** How a circuit comes back from a statement: the SQL that packs it, and what reads it. */

import type { Circuit, ForcedState } from "../circuit.ts";
import { MAX_COUNT } from "../types.ts";
import type { Row } from "./executor.ts";
import { recentFailures, type StatementContext } from "./sql_parts.ts";

/**
 * What every statement returns of a circuit, as one text: what a driver does for a column costs more
 * than what this library does for all of them, and a text comes back the same from every driver.
 * Fields with commas between, then the row as JSON where an operator forced something.
 * {@linkcode toCircuit} reads it.
 */
export function columns(context: StatementContext, now: string = context.now): string {
  return `${packed(context, now)} as circuit`;
}

/** The same where many circuits may come back: the key follows in a line of its own. */
export function keyedColumns(context: StatementContext, now: string = context.now): string {
  return `${packed(context, now)} || e'\\n' || c.key as circuit`;
}

function packed({ rules }: StatementContext, now: string): string {
  const failures = rules.failureWindowMs === undefined
    ? "c.failure_count"
    : recentFailures(rules.failureWindowMs, now);
  const probing = rules.probing === undefined ? "" : ", c.probe_count, c.probe_expires_at";
  return `concat_ws(',', c.state = 'open', c.state = 'half-open', ${now}, ${failures},
c.success_count, c.last_failure_time, c.last_state_change, c.version${probing},
case when c.forced_state is not null then to_json(c) end)`;
}

const COMMA = 44;
const MINUS = 45;
const ZERO = 48;
const BRACE = 123;
const LETTER_T = 116;

/** The numbers of the circuit that is being read, in the order of {@linkcode packed}. */
const numbers = new Float64Array(8);

/**
 * The circuit of a row, under the key that it was asked for alone or comes with. It is read letter by
 * letter: this runs between every answer and its caller, and splitting the text took longer than all
 * the rest of this library.
 */
export function toCircuit(row: Row, lone?: string): Circuit {
  const text = String(row.circuit);
  const { length } = text;
  // Not packed where nobody asks.
  numbers[6] = numbers[7] = 0;
  // Two letters come first, each with its comma.
  let at = 4;
  for (let field = 0, number = 0, sign = 1; at < length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit >= 0 && digit <= 9) {
      number = number * 10 + digit;
      if (at < length - 1) continue;
    } else if (digit === MINUS - ZERO) {
      sign = -1;
      continue;
    }
    numbers[field++] = sign * number;
    if (digit !== COMMA - ZERO) break;
    number = 0;
    sign = 1;
  }
  // JSON has no line feed: what a key has does not matter.
  const end = lone === undefined ? text.indexOf("\n", at) : length;
  return {
    key: lone ?? text.slice(end + 1),
    state: text.charCodeAt(0) === LETTER_T
      ? "open"
      : text.charCodeAt(2) === LETTER_T
      ? "half-open"
      : "closed",
    failureCount: Math.min(numbers[1]!, MAX_COUNT),
    successCount: Math.min(numbers[2]!, MAX_COUNT),
    lastFailureTime: numbers[3]!,
    lastStateChange: numbers[4]!,
    version: numbers[5]!,
    probeCount: numbers[6]!,
    probeExpiresAt: numbers[7]!,
    forced: text.charCodeAt(at) === BRACE ? toForced(text.slice(at, end)) : undefined,
    readAt: numbers[0]!,
  };
}

function toForced(json: string): ForcedState {
  const { forced_state, forced_at, forced_until, forced_reason } = JSON.parse(json);
  return {
    state: forced_state,
    at: forced_at,
    until: forced_until ?? undefined,
    reason: forced_reason ?? undefined,
  };
}
