import { describe } from "./describe.ts";
import { assertState } from "./key.ts";
import type { CircuitState, ListOptions } from "./types.ts";

const NAMES: readonly string[] = ["state", "after", "limit"];

/** List options with the defaults filled in. */
export interface ResolvedListOptions {
  state: CircuitState | undefined;
  after: string | undefined;
  limit: number;
}

/** Checks list options and fills in the defaults. */
export function resolveListOptions(options: ListOptions): ResolvedListOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot list circuits: "options" must be an object, received ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) {
      throw new TypeError(`Cannot list circuits: there is no option ${describe(name)}`);
    }
  }
  const { state, after, limit = 100 } = options;
  if (state !== undefined) assertState("list circuits", "state", state);
  if (after !== undefined && typeof after !== "string") {
    throw new TypeError(
      `Cannot list circuits: "after" must be a string, received ${describe(after)}`,
    );
  }
  if (typeof limit !== "number") {
    throw new TypeError(
      `Cannot list circuits: "limit" must be a number, received ${describe(limit)}`,
    );
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new RangeError(
      `Cannot list circuits: "limit" must be a whole number from 1 to 10000, received ${limit}`,
    );
  }
  return { state, after, limit };
}
