import { assertCount, assertNumber, assertOptions } from "./check.ts";
import type { PruneOptions } from "../operator_types.ts";

const ACTION = "prune circuits";

/** Prune options with the defaults filled in. */
export interface ResolvedPruneOptions {
  idleMs: number;
  limit: number;
}

/** Checks prune options and fills in the defaults. */
export function resolvePrune(options: PruneOptions): ResolvedPruneOptions {
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
