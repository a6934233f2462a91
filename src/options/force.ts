import { assertMilliseconds, assertOptions, textOf } from "./check.ts";
import type { ActOptions, ForceOptions } from "../operator_types.ts";

/** What an operator says about an act. */
export interface Act {
  reason: string | undefined;
  /** Who acts; `undefined` for the label of the instance. */
  actor: string | undefined;
}

/** A state that an operator forces on a circuit. */
export interface Force extends Act {
  /** `undefined` releases the circuit. */
  state: "open" | "closed" | undefined;
  /** For how long, in milliseconds; `undefined` for no end. */
  forMs: number | undefined;
}

const MAX_REASON = 1000;

/** The longest name of an actor, which is also the longest label of an instance. */
export const MAX_ACTOR = 200;

/** Checks how a state is to be forced. */
export function resolveForce(state: "open" | "closed", options: ForceOptions): Force {
  const action = "force circuit";
  assertOptions(action, options, ["reason", "forMs", "actor"]);
  const { forMs } = options;
  assertMilliseconds(action, "forMs", forMs);
  return {
    state,
    forMs: forMs === undefined ? undefined : Math.ceil(forMs),
    ...actOf(action, options),
  };
}

/** Checks how a state is to be released. */
export function resolveRelease(options: ActOptions): Force {
  return { state: undefined, forMs: undefined, ...resolveAct("release circuit", options) };
}

/** Checks what an operator says about a reset. */
export function resolveReset(options: ActOptions): Act {
  return resolveAct("reset circuit", options);
}

function resolveAct(action: string, options: ActOptions): Act {
  assertOptions(action, options, ["reason", "actor"]);
  return actOf(action, options);
}

function actOf(action: string, { reason, actor }: ActOptions): Act {
  return {
    reason: reason === undefined ? undefined : textOf(action, "reason", reason, 0, MAX_REASON),
    actor: actor === undefined ? undefined : textOf(action, "actor", actor, 1, MAX_ACTOR),
  };
}
