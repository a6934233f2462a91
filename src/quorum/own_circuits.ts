import type { CircuitRules } from "../options/store_options.ts";
import { MemoryCircuits } from "../rules/memory_circuits.ts";
import { ownRulesOf } from "../rules/voting.ts";
import { IMMEDIATE_CALL } from "../time/call.ts";

/** How many circuits an instance judges: a flood of keys must not fill its memory. */
export const MAX_JUDGED = 10_000;

/** The circuits of one instance by its own results. They open where a rule is due for these alone. */
export class OwnCircuits extends MemoryCircuits {
  /** @param rules Those of the fleet. */
  constructor(rules: CircuitRules, now: () => number) {
    super(ownRulesOf(rules), now, "local", { known: new Map(), capacity: MAX_JUDGED });
  }

  /** Forgets the results of a circuit, and fences its rounds. */
  forget(key: string): void {
    // It takes effect in the call itself.
    void this.reset(IMMEDIATE_CALL, key, { reason: undefined, actor: undefined });
  }
}
