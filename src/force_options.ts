import type { Force } from "./circuit.ts";
import { describe } from "./describe.ts";
import type { ForceOptions } from "./types.ts";

const NAMES: readonly string[] = ["reason", "forMs"];
const MAX_REASON = 1000;

/** Checks how a state is to be forced. */
export function resolveForce(state: "open" | "closed", options: ForceOptions): Force {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot force circuit: "options" must be an object, received ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) {
      throw new TypeError(`Cannot force circuit: there is no option ${describe(name)}`);
    }
  }
  const { reason, forMs } = options;
  if (reason !== undefined && typeof reason !== "string") {
    throw new TypeError(
      `Cannot force circuit: "reason" must be a string, received ${describe(reason)}`,
    );
  }
  if (reason !== undefined && reason.length > MAX_REASON) {
    throw new RangeError(
      `Cannot force circuit: "reason" must have at most ${MAX_REASON} characters, received ${reason.length}`,
    );
  }
  if (forMs !== undefined && typeof forMs !== "number") {
    throw new TypeError(
      `Cannot force circuit: "forMs" must be a number, received ${describe(forMs)}`,
    );
  }
  if (forMs !== undefined && !(forMs > 0 && forMs <= 9e12)) {
    throw new RangeError(
      `Cannot force circuit: "forMs" must be a positive number of milliseconds, received ${forMs}`,
    );
  }
  return {
    state,
    forMs: forMs === undefined ? undefined : Math.ceil(forMs),
    // What a text column cannot hold is replaced: a reason is for people.
    reason: reason?.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd"),
  };
}
