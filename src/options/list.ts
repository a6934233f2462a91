import { assertCount, assertOptions, assertState, assertString } from "./check.ts";
import type { ListOptions } from "../operator_types.ts";
import type { CircuitState } from "../types.ts";

const ACTION = "list circuits";

/** List options with the defaults filled in. */
export interface ResolvedListOptions {
  state: CircuitState | undefined;
  after: string | undefined;
  limit: number;
}

/** Checks list options and fills in the defaults. */
export function resolveListOptions(options: ListOptions): ResolvedListOptions {
  assertOptions(ACTION, options, ["state", "after", "limit"]);
  const { state, after, limit = 100 } = options;
  if (state !== undefined) assertState(ACTION, "state", state);
  if (after !== undefined) assertString(ACTION, "after", after);
  assertCount(ACTION, "limit", limit, 1, 10_000);
  return { state, after, limit };
}
