/**
 * Moving: what a change of state does to a circuit. Every move takes a step of the version, which is
 * the fencing token, and zeroes counters. Closing a circuit that is closed already zeroes its counters
 * and changes nothing else, as in the original store.
 */

import type { Circuit, Round } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { forcedAt, isForcedSql } from "./forcing.ts";
import { storedStateSql } from "./state.ts";
import { isStraggler, isStragglerSql } from "./tripping.ts";

/** The columns of this rule, beside the state and its time that the original table has. */
export const MOVING_COLUMNS: readonly string[] = ["version bigint not null default 0"];

/** What counts results. */
export type Counter = "failures" | "successes";

/** By counter: the states that zero it when a circuit moves there. */
export const ZEROED_BY: Record<Counter, readonly CircuitState[]> = {
  failures: ["closed"],
  successes: ["closed", "half-open"],
};

/** Whether a counter is zeroed when a circuit moves to a state. */
export function isZeroed(counter: Counter, to: CircuitState): boolean {
  return ZEROED_BY[counter].includes(to);
}

/** SQL: whether a counter is zeroed when a row moves to a state. */
export function isZeroedSql(counter: Counter, to: string): string {
  return `${to} in (${ZEROED_BY[counter].map((state) => `'${state}'`).join(", ")})`;
}

/** What a caller's move does to a circuit. */
export interface Move {
  /** Whether the state changes. */
  moves: boolean;
  zeroesFailures: boolean;
  zeroesSuccesses: boolean;
}

/** Judges a caller's move, which is no result of a probe. */
export function judgeMove(
  circuit: Pick<Circuit, "state" | "forced">,
  to: CircuitState,
  now: number,
  rules: CircuitRules,
): Move {
  const isFree = forcedAt(circuit.forced, now) === undefined;
  const moves = isFree && circuit.state !== to && !isStraggler(circuit.state, to, rules);
  const applies = moves || isFree && to === "closed";
  return {
    moves,
    zeroesFailures: applies && isZeroed("failures", to),
    zeroesSuccesses: applies && isZeroed("successes", to),
  };
}

/** SQL: the same conditions for a row. */
export function judgeMoveSql(
  row: string,
  to: string,
  now: string,
  rules: CircuitRules,
): Record<keyof Move, string> {
  const isFree = `not ${isForcedSql(row, now)}`;
  const straggler = isStragglerSql(row, to, rules);
  const moves = `(${storedStateSql(row)} <> ${to} and ${isFree}${
    straggler === "false" ? "" : ` and not ${straggler}`
  })`;
  const applies = `(${moves} or ${to} = 'closed' and ${isFree})`;
  return {
    moves,
    zeroesFailures: `(${isZeroedSql("failures", to)} and ${applies})`,
    zeroesSuccesses: `(${isZeroedSql("successes", to)} and ${applies})`,
  };
}

/** Whether the result of a probe belongs to the circuit's present round. */
export function isCurrentRound(circuit: Circuit, round: Round): boolean {
  return circuit.state === "half-open" && circuit.version === round.version &&
    circuit.lastStateChange === round.lastStateChange;
}

/** SQL: whether the result of a probe belongs to the present round of a row. */
export function isCurrentRoundSql(row: string, version: string, lastStateChange: string): string {
  return `(${row}.state = 'half-open' and ${row}.version = ${version}
    and ${row}.last_state_change = ${lastStateChange})`;
}
