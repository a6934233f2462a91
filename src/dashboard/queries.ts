/** What the page's script asks for, read from addresses. */

import { CIRCUIT_STATES, type CircuitState } from "../types.ts";
import type { PageRequest } from "./circuit_pages.ts";
import { Refusal } from "./responses.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 500;
const DEFAULT_WINDOW_MS = 86_400_000;

/** Which circuits an address asks for. */
export function pageRequestOf(params: URLSearchParams): PageRequest {
  return {
    state: stateOf(params.get("state")),
    prefix: params.get("q") ?? "",
    after: params.get("after") || undefined,
    limit: limitOf(params.get("limit")),
  };
}

/** Which changes an address asks for. */
export function changesRequestOf(params: URLSearchParams): { since: number; limit: number } {
  const text = params.get("windowMs");
  const windowMs = text === null ? DEFAULT_WINDOW_MS : Number(text);
  if (!(windowMs >= 1 && windowMs <= 9e12)) {
    throw new Refusal(400, '"windowMs" must be a positive number of milliseconds.');
  }
  return { since: Math.max(0, Date.now() - windowMs), limit: limitOf(params.get("limit")) };
}

/** The circuit that an address names. */
export function storedKeyOf(params: URLSearchParams): string {
  const key = params.get("key");
  if (key === null) throw new Refusal(400, '"key" must be the key of a circuit as it is listed.');
  return key;
}

function stateOf(text: string | null): CircuitState | undefined {
  if (!text) return undefined;
  const state = CIRCUIT_STATES.find((each) => each === text);
  if (state === undefined) {
    throw new Refusal(400, `"state" must be one of ${CIRCUIT_STATES.join(", ")}.`);
  }
  return state;
}

function limitOf(text: string | null): number {
  const limit = text === null ? DEFAULT_LIMIT : Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new Refusal(400, `"limit" must be a whole number from 1 to ${MAX_LIMIT}.`);
}
