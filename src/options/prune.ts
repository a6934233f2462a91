import { assertCount, assertNumber, assertOptions } from "./check.ts";
import type { PruneOptions } from "../types.ts";

const ACTION = "prune circuits";

/** Checks what is to be pruned and fills in the default. */
export function resolvePrune(options: PruneOptions): Required<PruneOptions> {
  assertOptions(ACTION, options, ["idleMs", "limit"]);
  const { idleMs, limit = 1000 } = options;
  assertNumber(ACTION, "idleMs", idleMs);
  if (!(idleMs >= 0 && idleMs <= 9e12)) {
    throw new RangeError(
      `Cannot ${ACTION}: "idleMs" must be a number of milliseconds from 0, received ${idleMs}`,
    );
  }
  assertCount(ACTION, "limit", limit, 1, 1_000_000);
  return { idleMs: Math.ceil(idleMs), limit };
}
