/** Peers, set up as near to each other as their options allow. */

import * as cockatiel from "cockatiel";
import Opossum from "opossum";

/** What is used of opossum, which has no types. */
export interface OpossumBreaker {
  fire(...args: unknown[]): Promise<unknown>;
  fallback(run: (...args: unknown[]) => unknown): void;
  on(event: string, listener: (...args: unknown[]) => void): void;
  open(): void;
  close(): void;
  shutdown(): void;
  readonly opened: boolean;
  readonly halfOpen: boolean;
}

type NewOpossum = new (
  call: (...args: never[]) => unknown,
  options?: Record<string, unknown>,
) => OpossumBreaker;

/** Calls with a breaker of opossum that runs what it is given, and ends it. It opens at the third failure. */
export async function withOpossum<Result>(
  run: (breaker: OpossumBreaker) => Promise<Result>,
  options: Record<string, unknown> = {},
): Promise<Result> {
  const breaker = new (Opossum as unknown as NewOpossum)((call: () => unknown) => call(), {
    timeout: false,
    volumeThreshold: 3,
    errorThresholdPercentage: 1,
    resetTimeout: 60_000,
    ...options,
  });
  try {
    return await run(breaker);
  } finally {
    breaker.shutdown();
  }
}

/** A breaker of cockatiel that opens at the third failure in a row. */
export function newCockatiel(
  breaker: cockatiel.IBreaker = new cockatiel.ConsecutiveBreaker(3),
  halfOpenAfter = 60_000,
): cockatiel.CircuitBreakerPolicy {
  return cockatiel.circuitBreaker(cockatiel.handleAll, { halfOpenAfter, breaker });
}

/** What a call comes to, in words that all peers share. */
export async function endOf(call: () => unknown): Promise<string> {
  try {
    return `returned ${await call()}`;
  } catch (error) {
    const { name = "", code = "", message } = (error ?? {}) as Record<string, string>;
    if (["CircuitOpenError", "BrokenCircuitError"].includes(name) || code === "EOPENBREAKER") {
      return "refused";
    }
    if (error instanceof cockatiel.BrokenCircuitError) return "refused";
    if (name === "CallTimeoutError" || code === "ETIMEDOUT") return "timed out";
    return `threw ${message ?? String(error)}`;
  }
}
