/** What an operator does through the dashboard: opens, closes, releases or resets a circuit. */

import type { Access } from "./access.ts";
import { Refusal } from "./responses.ts";
import { assertSameOrigin } from "./same_origin.ts";
import type { DashboardStore } from "./store_like.ts";

/** The longest body of an act, in bytes: the longest key and the longest reason fit, escaped as JSON. */
export const MAX_BODY_BYTES: number = 32 * 1024;

const MAX_REASON = 1000;
/** A forced state that is meant to end ends within a year. */
const MAX_FOR_MS = 366 * 86_400_000;

const ACTIONS = ["open", "close", "release", "reset"] as const;

/** An act, checked. */
interface Act {
  readonly action: typeof ACTIONS[number];
  readonly storedKey: string;
  readonly reason: string;
  readonly forMs: number | undefined;
}

/**
 * Does what a request asks for.
 *
 * @throws {Refusal} If the request may not act, or is not understood.
 */
export async function act(store: DashboardStore, request: Request, access: Access): Promise<void> {
  if (!access.mayAct) throw new Refusal(403, "This dashboard is read only for you.");
  assertSameOrigin(request);
  const wanted = parseAct(await bodyOf(request));
  const { storedKey, reason, forMs } = wanted;
  const options = { reason, actor: access.actor };
  try {
    if (wanted.action === "open") await store.forceOpen({ storedKey }, { ...options, forMs });
    else if (wanted.action === "close") {
      await store.forceClosed({ storedKey }, { ...options, forMs });
    } else if (wanted.action === "release") await store.release({ storedKey }, options);
    else await store.reset({ storedKey }, options);
  } catch (error) {
    // The store refuses a key that no circuit can have.
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new Refusal(400, "The circuit's key or the reason cannot be used.");
    }
    throw error;
  }
}

/** The body as text. It reads no further than the limit. */
async function bodyOf(request: Request): Promise<string> {
  const [type = ""] = (request.headers.get("content-type") ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/json") {
    throw new Refusal(415, 'An act must have the type "application/json".');
  }
  const tooLarge = () => new Refusal(413, `An act has at most ${MAX_BODY_BYTES} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > MAX_BODY_BYTES) {
      await reader.cancel();
      throw tooLarge();
    }
    chunks.push(value);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return new TextDecoder().decode(whole);
}

function parseAct(text: string): Act {
  const given = parseObject(text);
  const { action, storedKey, reason, forMs } = given;
  const known = ACTIONS.find((each) => each === action);
  if (known === undefined) {
    throw new Refusal(400, `"action" must be one of ${ACTIONS.join(", ")}.`);
  }
  if (typeof storedKey !== "string") {
    throw new Refusal(400, '"storedKey" must be the key of a circuit as it is listed.');
  }
  if (typeof reason !== "string" || reason.trim() === "" || reason.length > MAX_REASON) {
    throw new Refusal(400, `"reason" must have from 1 to ${MAX_REASON} characters.`);
  }
  return { action: known, storedKey, reason: reason.trim(), forMs: forMsOf(known, forMs) };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Refused below.
  }
  throw new Refusal(400, "An act must be a JSON object.");
}

function forMsOf(action: Act["action"], value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (action !== "open" && action !== "close") {
    throw new Refusal(400, `"forMs" does not go with "${action}".`);
  }
  if (typeof value === "number" && value >= 1 && value <= MAX_FOR_MS) return value;
  throw new Refusal(400, `"forMs" must be a number of milliseconds from 1 to ${MAX_FOR_MS}.`);
}
