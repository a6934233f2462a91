/**
 * Probing: the rules by which an open circuit lets probes through, as the clock that decides sees it.
 * A claim asks the TypeScript form whether it is worth a statement, and the statement applies the SQL
 * form under the row's lock.
 */

import type { Circuit } from "../circuit.ts";
import type { ProbingRules } from "../options/store_options.ts";
import { openMs, openMsSql } from "./backoff.ts";

/** The columns of this rule. */
export const PROBING_COLUMNS: readonly string[] = [
  "probe_count integer not null default 0",
  "probe_expires_at bigint not null default 0",
  "probe_settled integer not null default 0",
  "probe_successes integer not null default 0",
];

/** The part of a circuit that this rule reads. */
export type Probed =
  & Pick<Circuit, "state" | "lastStateChange" | "probeCount" | "probeExpiresAt">
  & Pick<Circuit, "details">;

/**
 * Whether a new round of probes may begin: the circuit was open for long enough, or a lease ended, or
 * all probes of a full round have succeeded and more successes are needed. A last change that lies
 * ahead means that the clock was set back; the distance bounds how long a circuit can stay shut for
 * it. With patience, the round must have been due for so long by the clock.
 */
export function isRoundDue(
  circuit: Probed,
  now: number,
  rules: ProbingRules,
  patienceMs = 0,
): boolean {
  switch (circuit.state) {
    case "closed":
      return false;
    case "open":
      return Math.abs(now - circuit.lastStateChange) >= openMs(circuit, rules) + patienceMs;
    case "half-open":
      return now >= circuit.probeExpiresAt + patienceMs ||
        circuit.lastStateChange - now >= rules.resetTimeoutMs + patienceMs ||
        patienceMs === 0 && isRoundFull(circuit, rules);
  }
}

/** SQL: whether a new round of probes may begin for a row. */
export function isRoundDueSql(
  row: string,
  now: string,
  rules: ProbingRules,
  patience = "0",
): string {
  return `case ${row}.state
    when 'open' then abs(${now} - ${row}.last_state_change)
      >= ${openMsSql(row, rules)} + ${patience}
    when 'half-open' then ${now} >= ${row}.probe_expires_at + ${patience}
      or ${row}.last_state_change - ${now} >= ${rules.resetTimeoutMs} + ${patience}
      or ${patience} = 0 and ${isRoundFullSql(row, rules)}
    else false end`;
}

/** Whether all probes of a full round have succeeded. */
export function isRoundFull({ details }: Probed, { halfOpenMax }: ProbingRules): boolean {
  return details.probeSettled >= halfOpenMax;
}

/** SQL: whether all probes of a row's full round have succeeded. */
export function isRoundFullSql(row: string, { halfOpenMax }: ProbingRules): string {
  return `${row}.probe_settled >= ${halfOpenMax}`;
}

/** How many probes may be admitted. Patience is for a new round: with it, none joins a running one. */
export function vacantProbes(
  circuit: Probed,
  now: number,
  rules: ProbingRules,
  patienceMs = 0,
): number {
  if (isRoundDue(circuit, now, rules, patienceMs)) return rules.halfOpenMax;
  return circuit.state === "half-open" && patienceMs === 0
    ? Math.max(0, rules.halfOpenMax - circuit.probeCount)
    : 0;
}

/** SQL: how many probes may be admitted for a row, given whether a round is due. */
export function vacantProbesSql(
  row: string,
  isDue: string,
  rules: ProbingRules,
  patience = "0",
): string {
  return `case when ${isDue} then ${rules.halfOpenMax}
    when ${row}.state = 'half-open' and ${patience} = 0
      then greatest(${rules.halfOpenMax} - ${row}.probe_count, 0)
    else 0 end`;
}

/**
 * How many successes a new round begins with: those of the rounds before it, where all their probes
 * have succeeded. A probe that was lost is no success in a row. A round need not have been full: where
 * requests are rarer than leases, none ever is.
 */
export function keptSuccesses(
  circuit: Probed & { readonly probeSuccesses: number },
  rules: ProbingRules,
): number {
  const { state, probeCount, probeSuccesses, details: { probeSettled } } = circuit;
  const isWhole = probeSettled >= probeCount || isRoundFull(circuit, rules);
  return state === "half-open" && isWhole ? probeSuccesses : 0;
}

/** SQL: how many successes a new round of a row begins with. */
export function keptSuccessesSql(row: string, rules: ProbingRules): string {
  return `case when ${row}.state = 'half-open'
      and (${row}.probe_settled >= ${row}.probe_count or ${isRoundFullSql(row, rules)})
    then ${row}.probe_successes else 0 end`;
}

/** The lease of a circuit that has just moved. Its caller is the first probe of the round. */
export function leaseAfterMove(
  to: Circuit["state"],
  now: number,
  probing: ProbingRules | undefined,
): Pick<Circuit, "probeCount" | "probeExpiresAt"> {
  return to === "half-open" && probing !== undefined
    ? { probeCount: 1, probeExpiresAt: now + probing.probeTimeoutMs }
    : { probeCount: 0, probeExpiresAt: 0 };
}

/** SQL: the lease of a row that has just moved. */
export function leaseAfterMoveSql(
  to: string,
  now: string,
  probing: ProbingRules | undefined,
): { probeCount: string; probeExpiresAt: string } {
  if (probing === undefined) return { probeCount: "0", probeExpiresAt: "0" };
  return {
    probeCount: `case when ${to} = 'half-open' then 1 else 0 end`,
    probeExpiresAt:
      `case when ${to} = 'half-open' then ${now} + ${probing.probeTimeoutMs} else 0 end`,
  };
}

/** When admission is worth asking for again, for a circuit that admits no probe now. */
export function retryAt(circuit: Probed, rules: ProbingRules): number {
  return circuit.state === "half-open"
    ? circuit.probeExpiresAt
    : circuit.lastStateChange + openMs(circuit, rules);
}

/**
 * The `lastStateChange` that makes the policy refuse a request with the right Retry-After. The
 * policy compares it with its `Date.now()`, a little later than this function does. Without a
 * margin, a refusal that ends soon would let the policy start a probe of its own. A margin of up to
 * a second does not show, because Retry-After is in whole seconds. Both times are of the caller's
 * clock.
 */
export function refusedSince(
  callerRetryAt: number,
  callerNow: number,
  { resetTimeoutMs }: ProbingRules,
): number {
  const margin = Math.min(1000, resetTimeoutMs / 2);
  return Math.ceil(Math.max(callerRetryAt, callerNow + margin) - resetTimeoutMs);
}
