import { resolveOptions } from "../../src/options/resolve.ts";
import type { CircuitRules, ProbingRules } from "../../src/options/store_options.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";

/** The rules of a store with these options. */
export function rulesOf(options: PostgresCircuitBreakerStoreOptions): CircuitRules {
  return resolveOptions(options).rules;
}

/** The rules by which a store with these options admits probes. */
export function probingOf(options: PostgresCircuitBreakerStoreOptions): ProbingRules {
  return rulesOf(options).probing!;
}
