import type { CallContext, ExecuteOptions } from "../breaker/options.ts";

/** The part of a `CircuitBreaker` that the frameworks use. */
export interface BreakerLike {
  /** Runs a function unless the circuit is open. */
  execute(
    key: string,
    call: (context: CallContext) => unknown,
    options?: Pick<ExecuteOptions, "signal" | "fallback">,
  ): Promise<unknown>;
}
