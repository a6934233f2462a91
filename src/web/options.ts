import { describe } from "../describe.ts";
import { assertOptions } from "../option_names.ts";

/** Options of all middleware, for any kind of request and of answer. */
interface WebOptions<K, R> {
  readonly key?: string | K | undefined;
  readonly exposeKey?: boolean | undefined;
  readonly respond?: R | undefined;
}

type Key = (...args: never[]) => string | undefined;
type Respond = (...args: never[]) => unknown;

const ACTION = "guard requests";

/** Checks options. The key becomes a function. */
export function resolveWebOptions<K extends Key, R extends Respond>(
  options: WebOptions<K, R>,
  defaultKey: K,
): { keyOf: K; exposeKey: boolean; respond: R | undefined } {
  assertOptions(ACTION, options, ["key", "exposeKey", "respond"]);
  const { key = defaultKey, exposeKey = false, respond } = options;
  if (typeof key !== "string" && typeof key !== "function") {
    throw wrong("key", "a string or a function", key);
  }
  if (respond !== undefined && typeof respond !== "function") {
    throw wrong("respond", "a function", respond);
  }
  if (typeof exposeKey !== "boolean") throw wrong("exposeKey", "true or false", exposeKey);
  return { keyOf: typeof key === "string" ? (() => key) as unknown as K : key, exposeKey, respond };
}

/** Throws unless a value has the method of a breaker. */
export function assertBreaker(breaker: { readonly execute: unknown }): void {
  if (typeof breaker?.execute === "function") return;
  throw wrong("breaker", "a CircuitBreaker", breaker);
}

/** Throws unless a handler is a function. */
export function assertHandler(handler: unknown): void {
  if (typeof handler !== "function") throw wrong("handler", "a function", handler);
}

function wrong(name: string, expected: string, received: unknown): TypeError {
  return new TypeError(
    `Cannot ${ACTION}: "${name}" must be ${expected}, received ${describe(received)}`,
  );
}
