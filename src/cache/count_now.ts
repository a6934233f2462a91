import type { Deferred } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import type { CacheEntries } from "./entries.ts";
import type { Origin } from "./origin.ts";

/** A count whose statement failed: why, and what it may have counted, in the order of its circuits. */
export interface FailedCount {
  readonly error: unknown;
  readonly deferred: readonly Deferred[];
}

/**
 * Counts the successes of some circuits that wait, in one statement that waits for its rows. It is sent at
 * most once. Never rejects: what a failed count took stays taken.
 */
export async function countNow(
  origin: Origin,
  entries: CacheEntries,
  call: Call,
  circuits: readonly CachedCircuit[],
): Promise<FailedCount | undefined> {
  const order = entries.nextOrder();
  const deferred = circuits.map(({ key, successes }) => ({ key, ...successes.take(order) }));
  try {
    await origin.countDeferred(call, deferred);
  } catch (error) {
    return { error, deferred };
  }
  const answered = entries.nextOrder();
  circuits.forEach(({ successes }, i) => successes.wasCounted(deferred[i]!, answered));
}
