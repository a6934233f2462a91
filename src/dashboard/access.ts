/** What one request may do. */

import { MAX_ACTOR } from "../options/force.ts";
import type { ResolvedDashboardOptions } from "./options.ts";
import { problem } from "./responses.ts";

/** Whom the log names where `authorize` names no actor. */
const DEFAULT_ACTOR = "dashboard";

/** What a request may do that may read. */
export interface Access {
  readonly mayAct: boolean;
  /** Who acts. */
  readonly actor: string;
}

/** Asks `authorize`. A `Response` is the refusal. Whatever is no clear permission refuses. */
export async function accessOf(
  { readOnly, authorize }: Pick<ResolvedDashboardOptions, "readOnly" | "authorize">,
  request: Request,
): Promise<Access | Response> {
  if (authorize === undefined) return { mayAct: false, actor: DEFAULT_ACTOR };
  let given: unknown;
  try {
    given = await authorize(request);
  } catch {
    return problem(500, {
      detail: 'The function "authorize" failed. It must not throw or reject.',
    });
  }
  if (isResponse(given)) return given;
  if (given === false) {
    return problem(403, { detail: "You may not see this dashboard. Ask the team that serves it." });
  }
  if (given === "read") return { mayAct: false, actor: DEFAULT_ACTOR };
  const actor = given === true ? DEFAULT_ACTOR : actorOf(given);
  if (actor !== undefined) return { mayAct: !readOnly, actor };
  return problem(500, {
    detail:
      'The function "authorize" must return true, false, "read", a Response, or an object with ' +
      `an "actor" of 1 to ${MAX_ACTOR} characters.`,
  });
}

function actorOf(given: unknown): string | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const { actor } = given as { actor?: unknown };
  if (typeof actor !== "string" || actor.length === 0 || actor.length > MAX_ACTOR) return undefined;
  return actor;
}

/** Adapters for Node bring a class of their own, which need not inherit from the global one. */
function isResponse(given: unknown): given is Response {
  return given instanceof Response ||
    Object.prototype.toString.call(given) === "[object Response]";
}
