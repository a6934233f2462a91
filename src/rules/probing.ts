/**
 * The rules by which an open circuit lets probes through, as the clock that decides sees it. The
 * store in memory acts on them; the store on PostgreSQL asks them whether a claim is worth a
 * statement, which then applies the same rules under the row's lock.
 */

import type { Circuit, ForcedState, Probed } from "./circuit.ts";
import type { ProbingRules } from "../options/store_options.ts";

/** The forced state that is in force at a moment, `undefined` for none. */
export function forcedAt(
  forced: ForcedState | undefined,
  now: number,
): ForcedState | undefined {
  if (forced === undefined) return undefined;
  return forced.until === undefined || now < forced.until ? forced : undefined;
}

/** Whether a new round of probes may begin: the circuit was open for long enough, or a lease ended. */
export function isRoundDue(circuit: Probed, now: number, rules: ProbingRules): boolean {
  switch (circuit.state) {
    case "closed":
      return false;
    case "open":
      // A last change that lies ahead means that the clock was set back; the distance bounds how
      // long a circuit can stay shut for it.
      return Math.abs(now - circuit.lastStateChange) >= rules.resetTimeoutMs;
    case "half-open":
      return now >= circuit.probeExpiresAt ||
        circuit.lastStateChange - now >= rules.resetTimeoutMs;
  }
}

/**
 * Whether successes of a circuit at a version are still in its counter: closing and half-opening
 * zero it. Opening and forcing do not, and are one step.
 */
export function isCounted(version: number, { version: now, state }: Circuit): boolean {
  return now === version || now === version + 1 && state !== "half-open";
}

/** How many probes may be admitted at a moment. */
export function vacantProbes(circuit: Probed, now: number, rules: ProbingRules): number {
  if (isRoundDue(circuit, now, rules)) return rules.halfOpenMax;
  return circuit.state === "half-open" ? Math.max(0, rules.halfOpenMax - circuit.probeCount) : 0;
}

/** When admission is worth asking for again, for a circuit that admits none now. */
export function retryAt(circuit: Probed, { resetTimeoutMs }: ProbingRules): number {
  return circuit.state === "half-open"
    ? circuit.probeExpiresAt
    : circuit.lastStateChange + resetTimeoutMs;
}

/**
 * The `lastStateChange` that makes the policy refuse a request and tell its client when to come
 * back. The policy compares it with its `Date.now()`, a little later than we do: without a margin,
 * a refusal that ends soon would let the policy start a probe of its own. Up to a second of margin
 * does not show, since Retry-After is in whole seconds. Both times are of the caller's clock.
 */
export function refusedSince(
  callerRetryAt: number,
  callerNow: number,
  { resetTimeoutMs }: ProbingRules,
): number {
  const margin = Math.min(1000, resetTimeoutMs / 2);
  return Math.ceil(Math.max(callerRetryAt, callerNow + margin) - resetTimeoutMs);
}
