/** How a circuit comes back from a statement: the SQL that packs it, and what reads it. */

import type { Circuit, ForcedState } from "../rules/circuit.ts";
import { describe } from "../describe.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import { MAX_COUNT } from "../types.ts";
import type { Row } from "./executor.ts";
import { recentFailures, type StatementContext } from "./sql_parts.ts";

/**
 * What every statement returns of a circuit, as one text: what a driver does for a column costs more
 * than what this library does for all of them, and a text comes back the same from every driver.
 * Fields with a comma after each, then the row as JSON where an operator forced something.
 * {@linkcode toCircuit} reads it.
 */
export function columns(context: StatementContext, now: string = context.now): string {
  return packed(context, now, []);
}

/** The same where many circuits may come back: the key follows as JSON, in a line of its own. */
export function keyedColumns(context: StatementContext, now: string = context.now): string {
  return packed(context, now, ["to_json(c.key)"]);
}

/**
 * What a `circuit` column adds up to: all rows in one, because what a driver and the server do for a
 * row costs more than the rest. Without any row it is null.
 */
export const AGGREGATED = "string_agg(circuit, e'\\n') as circuit";

function packed({ rules }: StatementContext, now: string, lines: string[]): string {
  const { failureWindowMs, probing } = rules;
  const fields = [
    "c.state = 'open'",
    "c.state = 'half-open'",
    now,
    failureWindowMs === undefined ? "c.failure_count" : recentFailures(failureWindowMs, now),
    "c.success_count",
    "c.last_failure_time",
    "c.last_state_change",
    "c.version",
    ...probing === undefined ? [] : ["c.probe_count", "c.probe_expires_at"],
    "case when c.forced_state is not null then to_json(c) end",
  ];
  // The cheapest of what puts a text together; a null becomes nothing.
  const form = [fields.map(() => "%s").join(), ...lines.map(() => "%s")].join("\\n");
  return `format(e'${form}', ${[...fields, ...lines].join(", ")}) as circuit`;
}

/** The circuits of all rows, under the key that they were asked for alone or come with. */
export function toCircuits(rows: Row[], lone?: string): Circuit[] {
  const circuits: Circuit[] = [];
  // By index: a driver's rows can be an array of a kind of its own, which is slow to go through.
  for (let i = 0; i < rows.length; i++) {
    const { circuit } = rows[i]!;
    if (circuit === null) continue;
    const reader = new Reader(textOf(circuit), lone);
    while (!reader.isDone) circuits.push(reader.next());
  }
  return circuits;
}

/** The circuit of a row that has one, and says more of it in other columns. */
export function toCircuit(row: Row): Circuit {
  return new Reader(textOf(row.circuit), undefined).next();
}

function textOf(circuit: unknown): string {
  if (typeof circuit === "string") return circuit;
  throw new CircuitBreakerStoreError(
    `Cannot read circuits: expected rows with a text column "circuit", received ${
      describe(circuit)
    } there: "client" must return rows as objects, with the names and values of their columns`,
  );
}

const LINE_FEED = 10;
const COMMA = 44;
const MINUS = 45;
const ZERO = 48;
const LETTER_T = 116;
const BRACE = 123;

/** The numbers of the circuit that is being read, in the order of {@linkcode packed}. */
const numbers = new Float64Array(8);

/**
 * Reads packed circuits letter by letter: this runs between every answer and its caller, and to split
 * the text took longer than all the rest of this library.
 */
class Reader {
  readonly #text: string;
  readonly #lone: string | undefined;
  #at = 0;

  constructor(text: string, lone: string | undefined) {
    this.#text = text;
    this.#lone = lone;
  }

  get isDone(): boolean {
    return this.#at >= this.#text.length;
  }

  next(): Circuit {
    const text = this.#text;
    const isOpen = text.charCodeAt(this.#at) === LETTER_T;
    const isHalfOpen = text.charCodeAt(this.#at + 2) === LETTER_T;
    // Each letter has its comma.
    this.#at += 4;
    this.#readNumbers();
    const forced = text.charCodeAt(this.#at) === BRACE ? toForced(this.#readLine()) : undefined;
    return {
      key: this.#lone ?? this.#readKey(),
      state: isOpen ? "open" : isHalfOpen ? "half-open" : "closed",
      failureCount: Math.min(numbers[1]!, MAX_COUNT),
      successCount: Math.min(numbers[2]!, MAX_COUNT),
      lastFailureTime: numbers[3]!,
      lastStateChange: numbers[4]!,
      version: numbers[5]!,
      probeCount: numbers[6]!,
      probeExpiresAt: numbers[7]!,
      forced,
      readAt: numbers[0]!,
    };
  }

  /** Goes on to what follows them: JSON, or what comes after the end of the line. */
  #readNumbers(): void {
    const text = this.#text;
    const { length } = text;
    // Not packed where nobody asks.
    numbers[6] = numbers[7] = 0;
    let at = this.#at;
    for (let field = 0, number = 0, sign = 1;; at++) {
      const letter = at < length ? text.charCodeAt(at) : LINE_FEED;
      if (letter === MINUS) {
        sign = -1;
      } else if (letter >= ZERO && letter <= ZERO + 9) {
        number = number * 10 + letter - ZERO;
      } else if (letter === COMMA) {
        numbers[field++] = sign * number;
        number = 0;
        sign = 1;
      } else {
        if (letter === LINE_FEED) at++;
        break;
      }
    }
    this.#at = at;
  }

  /** JSON has no line feeds, whatever is in it. */
  #readLine(): string {
    const feed = this.#text.indexOf("\n", this.#at);
    const end = feed === -1 ? this.#text.length : feed;
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return line;
  }

  /** A string of its own: a slice would keep the texts of all circuits as long as one key is known. */
  #readKey(): string {
    return JSON.parse(this.#readLine());
  }
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
