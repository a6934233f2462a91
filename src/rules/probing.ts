/**
 * Probing: the rules by which an open circuit lets probes through, as the clock that decides sees it.
 * A claim asks the TypeScript form whether it is worth a statement, and the statement applies the SQL
 * form under the row's lock.
 */

import type { Circuit } from "../circuit.ts";
import type { ProbingRules } from "../options/store_options.ts";

/** The columns of this rule. */
export const PROBING_COLUMNS: readonly string[] = [
  "probe_count integer not null default 0",
  "probe_expires_at bigint not null default 0",
];

/** The part of a circuit that this rule reads. */
export type Probed = Pick<Circuit, "state" | "lastStateChange" | "probeCount" | "probeExpiresAt">;

/**
 * Whether a new round of probes may begin: the circuit was open for long enough, or a lease ended. A
 * last change that lies ahead means that the clock was set back; the distance bounds how long a
 * circuit can stay shut for it.
 */
export function isRoundDue(circuit: Probed, now: number, rules: ProbingRules): boolean {
  switch (circuit.state) {
    case "closed":
      return false;
    case "open":
      return Math.abs(now - circuit.lastStateChange) >= rules.resetTimeoutMs;
    case "half-open":
      return now >= circuit.probeExpiresAt ||
        circuit.lastStateChange - now >= rules.resetTimeoutMs;
  }
}

/** SQL: whether a new round of probes may begin for a row. */
export function isRoundDueSql(row: string, now: string, rules: ProbingRules): string {
  return `case ${row}.state
    when 'open' then abs(${now} - ${row}.last_state_change) >= ${rules.resetTimeoutMs}
    when 'half-open' then ${now} >= ${row}.probe_expires_at
      or ${row}.last_state_change - ${now} >= ${rules.resetTimeoutMs}
    else false end`;
}

/** How many probes may be admitted. */
export function vacantProbes(circuit: Probed, now: number, rules: ProbingRules): number {
  if (isRoundDue(circuit, now, rules)) return rules.halfOpenMax;
  return circuit.state === "half-open" ? Math.max(0, rules.halfOpenMax - circuit.probeCount) : 0;
}

/** SQL: how many probes may be admitted for a row, given whether a round is due. */
export function vacantProbesSql(row: string, isDue: string, rules: ProbingRules): string {
  return `case when ${isDue} then ${rules.halfOpenMax}
    when ${row}.state = 'half-open' then greatest(${rules.halfOpenMax} - ${row}.probe_count, 0)
    else 0 end`;
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
export function retryAt(circuit: Probed, { resetTimeoutMs }: ProbingRules): number {
  return circuit.state === "half-open"
    ? circuit.probeExpiresAt
    : circuit.lastStateChange + resetTimeoutMs;
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
