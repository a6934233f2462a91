/**
 * Backing off: how long an open circuit refuses traffic before it admits probes. The time can grow with
 * each failed round of probes. A circuit that stayed closed for one reset timeout forgets its failed
 * rounds.
 */

import type { Circuit } from "../circuit.ts";
import type { BackoffRules } from "../options/rule_options.ts";
import type { CircuitRules, ProbingRules } from "../options/store_options.ts";
import { storedStateSql } from "./state.ts";

/** The columns of this rule. */
export const BACKOFF_COLUMNS: readonly string[] = [
  "reset_ms bigint not null default 0",
  "failed_rounds integer not null default 0",
];

/** As far as failed rounds are counted. */
const MAX_ROUNDS = 1_000_000;

/** What a circuit that opens remembers. */
export interface Opening {
  /** How long it stays open, in milliseconds; 0 for the reset timeout of its reader. */
  resetMs: number;
  /** How many rounds of probes have failed. */
  failedRounds: number;
}

/** The part of a circuit that an opening depends on. */
export type BeforeOpening = Pick<Circuit, "state" | "lastStateChange"> & {
  readonly failedRounds: number;
};

/** A circuit that opens. `share` is a random number from 0 to below 1. */
export function opening(
  circuit: BeforeOpening,
  now: number,
  { probing }: CircuitRules,
  share: number,
): Opening {
  if (probing === undefined) return { resetMs: 0, failedRounds: 0 };
  const known = Math.min(circuit.failedRounds, MAX_ROUNDS);
  // A clock that was set back must not keep rounds from being forgotten: the distance decides.
  const isForgotten = Math.abs(now - circuit.lastStateChange) >= probing.resetTimeoutMs;
  const failedRounds = circuit.state === "half-open"
    ? known + 1
    : circuit.state === "closed" && isForgotten
    ? 0
    : known;
  return { resetMs: resetMsOf(failedRounds, probing, share), failedRounds };
}

function resetMsOf(
  failedRounds: number,
  { resetTimeoutMs, backoff }: ProbingRules,
  share: number,
): number {
  if (backoff === undefined) return 0;
  const { factor, maxMs } = backoff;
  const jitter = jitterOf(backoff);
  const rounds = Math.min(failedRounds, roundsUntilLongest(resetTimeoutMs, backoff));
  const longest = Math.min(resetTimeoutMs * Math.pow(factor, rounds), maxMs);
  return Math.max(1, Math.floor(longest * (1 - jitter * share)));
}

/** SQL: the columns of a row that opens, by their names. `share` is a random number below 1. */
export function openingSql(
  row: string,
  now: string,
  { probing }: CircuitRules,
  share = "pg_catalog.random()",
): Record<"reset_ms" | "failed_rounds", string> {
  if (probing === undefined) return { reset_ms: "0", failed_rounds: "0" };
  const known = `least(${row}.failed_rounds, ${MAX_ROUNDS})`;
  const failedRounds = `case when ${row}.state = 'half-open' then ${known} + 1
    when ${storedStateSql(row)} = 'closed'
      and abs(${now} - ${row}.last_state_change) >= ${probing.resetTimeoutMs} then 0
    else ${known} end`;
  return { reset_ms: resetMsSql(failedRounds, probing, share), failed_rounds: failedRounds };
}

function resetMsSql(
  failedRounds: string,
  { resetTimeoutMs, backoff }: ProbingRules,
  share: string,
): string {
  if (backoff === undefined) return "0";
  const { factor, maxMs } = backoff;
  const jitter = jitterOf(backoff);
  const double = (value: number | string) => `(${value})::double precision`;
  const rounds = `least(${failedRounds}, ${roundsUntilLongest(resetTimeoutMs, backoff)})`;
  const longest = `least(${double(resetTimeoutMs)} * power(${double(factor)}, ${double(rounds)}), ${
    double(maxMs)
  })`;
  return `greatest(floor(${longest} * (${double(1)} - ${double(jitter)} * ${
    double(share)
  }))::bigint, 1)`;
}

/** The random share. One that cannot show would only make the server's product underflow, an error. */
function jitterOf({ jitter }: BackoffRules): number {
  return jitter < 1e-9 ? 0 : jitter;
}

/** After how many failed rounds the timeout grows no more. It bounds the power, which could overflow. */
function roundsUntilLongest(
  resetTimeoutMs: number,
  { factor, maxMs }: BackoffRules,
): number {
  if (factor === 1) return 0;
  return Math.min(MAX_ROUNDS, Math.ceil(Math.log(maxMs / resetTimeoutMs) / Math.log(factor)));
}

/** How long an open circuit refuses traffic before it admits probes. */
export function openMs({ details }: Pick<Circuit, "details">, rules: ProbingRules): number {
  return details.resetMs > 0 ? details.resetMs : rules.resetTimeoutMs;
}

/** SQL: how long the open circuit of a row refuses traffic before it admits probes. */
export function openMsSql(row: string, rules: ProbingRules): string {
  return `case when ${row}.reset_ms > 0 then ${row}.reset_ms else ${rules.resetTimeoutMs} end`;
}
