/**
 * Settling: what the result of a probe does to its round. Enough successes in a row close the circuit, one
 * failure opens it, and an ignored probe gives its slot back.
 */

import type { Circuit } from "../circuit.ts";
import type { ProbingRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";

/** The part of a circuit that this rule reads. */
export type Settled = Pick<Circuit, "probeCount" | "details"> & {
  /** How many probes have succeeded since the circuit became half-open. */
  readonly probeSuccesses: number;
};

/** What a result does to the round that it belongs to. */
export interface Settlement {
  closes: boolean;
  opens: boolean;
  /** The round after it, where the circuit stays half-open. */
  probeCount: number;
  probeSettled: number;
  probeSuccesses: number;
}

/** Judges the result of a probe of the present round. */
export function settlement(
  { probeCount, probeSuccesses, details: { probeSettled } }: Settled,
  outcome: PermitOutcome,
  { successThreshold }: ProbingRules,
): Settlement {
  const success = outcome === "success" ? 1 : 0;
  return {
    closes: success === 1 && probeSuccesses + 1 >= successThreshold,
    opens: outcome === "failure",
    probeCount: outcome === "ignored" ? Math.max(probeCount - 1, probeSettled) : probeCount,
    probeSettled: probeSettled + success,
    probeSuccesses: probeSuccesses + success,
  };
}

/** SQL: the same for a row that is in the present round of the probe. */
export function settlementSql(
  row: string,
  outcome: string,
  { successThreshold }: ProbingRules,
): Record<keyof Settlement, string> {
  const success = `case when ${outcome} = 'success' then 1 else 0 end`;
  return {
    closes: `(${outcome} = 'success' and ${row}.probe_successes >= ${successThreshold - 1})`,
    opens: `(${outcome} = 'failure')`,
    probeCount: `case when ${outcome} = 'ignored'
      then greatest(${row}.probe_count - 1, ${row}.probe_settled) else ${row}.probe_count end`,
    probeSettled: `${row}.probe_settled + ${success}`,
    probeSuccesses: `${row}.probe_successes + ${success}`,
  };
}
