/**
 * What Stoma's `circuitBreaker` policy makes of a snapshot, without the gateway around it.
 *
 * @module
 */

import type { CircuitBreakerSnapshot } from "../../mod.ts";

/** Lets the request through, sends it as a probe, or answers 503 with a Retry-After in seconds. */
export type Verdict =
  | { kind: "pass" }
  | { kind: "probe" }
  | { kind: "refuse"; retryAfter: number }
  /** The policy would make a round of its own: with the store's options it never may. */
  | { kind: "own round" };

/** The policy's decision at a moment of its clock. */
export function verdictOf(
  { state, lastStateChange }: CircuitBreakerSnapshot,
  now: number,
  resetTimeoutMs: number,
): Verdict {
  if (state === "closed") return { kind: "pass" };
  if (state === "half-open") return { kind: "probe" };
  const elapsed = now - lastStateChange;
  return elapsed >= resetTimeoutMs
    ? { kind: "own round" }
    : { kind: "refuse", retryAfter: Math.ceil((resetTimeoutMs - elapsed) / 1000) };
}
