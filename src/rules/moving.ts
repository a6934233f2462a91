/**
 * Moving: what a change of state does to a circuit. Every move takes a new version, which is the
 * fencing token, and zeroes counters. Closing a circuit that is closed already zeroes its counters, as
 * in the original store. That takes a version too, because a counter falls.
 */

import type { Circuit, Round } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { forcedAt, isForcedSql } from "./forcing.ts";
import { storedStateSql } from "./state.ts";
import {
  isPremature,
  isPrematureSql,
  isStraggler,
  isStragglerSql,
  type Judged,
} from "./tripping.ts";

/** The columns of this rule, beside the state and its time that the original table has. */
export const MOVING_COLUMNS: readonly string[] = [
  "version bigint not null default 0",
  "zeroed_version bigint not null default 0",
  "opened_at bigint not null default 0",
];

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
  circuit: Judged & Pick<Circuit, "forced">,
  to: CircuitState,
  now: number,
  rules: CircuitRules,
): Move {
  const isFree = forcedAt(circuit.forced, now) === undefined;
  const moves = isFree && circuit.state !== to && !isStraggler(circuit.state, to, rules) &&
    !isPremature(circuit, to, now, rules);
  const applies = moves || isFree && to === "closed";
  return {
    moves,
    zeroesFailures: applies && isZeroed("failures", to),
    zeroesSuccesses: applies && isZeroed("successes", to),
  };
}

/** SQL: the same conditions for a row. `isDue` says whether the row is due to open. */
export function judgeMoveSql(
  row: string,
  to: string,
  now: string,
  rules: CircuitRules,
  isDue?: string,
): Record<keyof Move, string> {
  const isFree = `not ${isForcedSql(row, now)}`;
  const refusals = [isStragglerSql(row, to, rules), isPrematureSql(row, to, now, rules, isDue)]
    .filter((refusal) => refusal !== "false").map((refusal) => ` and not ${refusal}`).join("");
  const moves = `(${storedStateSql(row)} <> ${to} and ${isFree}${refusals})`;
  const applies = `(${moves} or ${to} = 'closed' and ${isFree})`;
  return {
    moves,
    zeroesFailures: `(${isZeroedSql("failures", to)} and ${applies})`,
    zeroesSuccesses: `(${isZeroedSql("successes", to)} and ${applies})`,
  };
}

/** Whether a caller's move of a circuit without a row needs one: it may change something. */
export function isRowNeeded(to: CircuitState, { trip }: CircuitRules): boolean {
  // A circuit without a row is closed, and nothing has failed.
  return to !== "closed" && !(to === "open" && trip.isByStore);
}

/** Why a circuit moves, for the log: a caller's move is known by the states that it connects. */
export function moveCause(from: CircuitState, to: CircuitState): "trip" | "probe" | "manual" {
  if (from === "closed" && to === "open") return "trip";
  return from === "half-open" || from === "open" && to === "half-open" ? "probe" : "manual";
}

/** SQL: why a row moves. */
export function moveCauseSql(from: string, to: string): string {
  return `case when ${from} = 'closed' and ${to} = 'open' then 'trip'
    when ${from} = 'half-open' or ${from} = 'open' and ${to} = 'half-open' then 'probe'
    else 'manual' end`;
}

/** When the present outage of the upstream began, for a circuit that moves. */
export function openedAtAfter(
  circuit: Pick<Circuit, "state" | "openedAt">,
  to: CircuitState,
  now: number,
): number {
  if (to === "closed") return 0;
  // A failed probe is no new outage.
  return circuit.state === "closed" || circuit.openedAt === 0 ? now : circuit.openedAt;
}

/** SQL: the same for a row that moves. */
export function openedAtAfterSql(row: string, to: string, now: string): string {
  return `case when ${to} = 'closed' then 0
    when ${storedStateSql(row)} = 'closed' or ${row}.opened_at = 0 then ${now}
    else ${row}.opened_at end`;
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
