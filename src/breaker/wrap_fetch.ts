import { describe } from "../describe.ts";
import { assertOptions } from "../option_names.ts";
import { toRefusal } from "./error_response.ts";
import { isCircuitOpenError } from "./errors.ts";
import type { CallContext, ExecuteOptions } from "./options.ts";
import { noteUnsent } from "./unsent_calls.ts";

/** A `fetch`: the runtime's, that of a package, or one of your own. */
export type FetchFunction = (input: never, init?: never) => Promise<unknown>;

/** The runtime's `fetch`, with the type that it has there. */
// dnt-shim-ignore
export type GlobalFetch = typeof globalThis extends { fetch: infer F extends FetchFunction } ? F
  : FetchFunction;

/** A request of which a function chooses the circuit. */
export interface FetchTarget {
  /** The method in capitals. */
  readonly method: string;
  /** The URL that is asked for first: an `URL`. Redirects lead elsewhere. */
  readonly url: {
    readonly href: string;
    readonly origin: string;
    readonly host: string;
    readonly pathname: string;
    readonly search: string;
  };
}

/** Options of `CircuitBreaker.wrapFetch`. */
export interface WrapFetchOptions {
  /**
   * The circuit's key, or a function that chooses it. Where the function returns `undefined`, the call
   * is not guarded.
   *
   * @default {undefined} the URL's origin, such as `https://api.example.com`; URLs other than `http:` and
   * `https:` are not guarded
   */
  key?: string | ((target: FetchTarget) => string | undefined) | undefined;
  /**
   * What a call gets that an open circuit refuses: it rejects with a `CircuitOpenError`, or it resolves
   * with a `Response` of status 503 with `Retry-After` and problem details. That needs the runtime's
   * `Response`. An outer circuit ignores that `Response`, but not a copy that middleware makes of it.
   *
   * @default {"reject"}
   */
  onRefused?: "reject" | "respond" | undefined;
}

/** The part of a `CircuitBreaker` that guards a `fetch`. */
interface FetchGuard {
  execute(
    key: string,
    call: (context: CallContext) => Promise<unknown>,
    options?: ExecuteOptions,
  ): Promise<unknown>;
}

type Input = string | { readonly href: string } | RequestLike;
type RequestLike = {
  readonly url: string;
  readonly method: string;
  readonly signal: AbortSignal;
  readonly bodyUsed: boolean;
};
type Init = { method?: string; signal?: AbortSignal | null; body?: unknown };
type Send = (input: Input, init?: Init) => Promise<unknown>;

/**
 * Makes a `fetch` that goes through a breaker.
 *
 * @param isTimed Whether the breaker gives calls up. Without it, no signal is made and the arguments go
 * on as they are.
 */
export function wrapFetch<F extends FetchFunction>(
  breaker: FetchGuard,
  fetch: F,
  options: WrapFetchOptions,
  isTimed: boolean,
): F {
  if (typeof fetch !== "function") {
    throw new TypeError(
      `Cannot wrap fetch: "fetch" must be a function, received ${describe(fetch)}`,
    );
  }
  const keyOf = resolveKey(options);
  const send = fetch as unknown as Send;
  const answers = options.onRefused === "respond";

  const guarded = async (input: Input, init?: Init): Promise<unknown> => {
    const key = keyOf(input, init);
    if (key === undefined || isUsed(input, init)) return await send(input, init);
    const signal = signalOf(input, init);
    const call = async (context: CallContext) => {
      try {
        return await (isTimed
          ? sendTimed(send, input, init, context.signal, signal)
          : send(input, init));
      } catch (error) {
        if (isOfRequest(error, input, init)) noteUnsent(error);
        throw error;
      }
    };
    try {
      // Without options the breaker takes its short way.
      return await breaker.execute(key, call, signal === undefined ? undefined : { signal });
    } catch (error) {
      if (!answers || !isCircuitOpenError(error) || error.key !== key) throw error;
      return toRefusal(error);
    }
  };
  // Bun's has a method of its own.
  return Object.assign(guarded, fetch) as unknown as F;
}

/** Sends a request such that the end of its time aborts it, also while its body is read. */
async function sendTimed(
  send: Send,
  input: Input,
  init: Init | undefined,
  timeout: AbortSignal,
  caller: AbortSignal | undefined,
): Promise<unknown> {
  // The breaker follows the caller's signal until there are headers. A body can be aborted after that.
  const signal = caller === undefined ? timeout : AbortSignal.any([caller, timeout]);
  const response = await send(input, withOther(init, { signal }));
  // A fetch that does not look at its signal: nothing reads this body any more.
  if (timeout.aborted) void bodyOf(response)?.cancel().catch(() => {});
  return response;
}

/** The same init with some other values. A `Request` may serve as one: what it has are getters. */
function withOther(init: Init | undefined, values: Init): Init {
  const prototype = init === undefined ? null : Object.getPrototypeOf(init);
  if (prototype === null || prototype === Object.prototype) return { ...init, ...values };
  return new Proxy(init!, {
    get: (target, name) => Reflect.get(name in values ? values : target, name),
  });
}

/**
 * Whether an error is that of the request itself, so that nothing was sent: making the request throws the
 * same. A fetch that failed on the way has another message, though its error is of the same class.
 */
function isOfRequest(error: unknown, input: Input, init: Init | undefined): error is TypeError {
  if (!(error instanceof TypeError) || typeof Request !== "function") return false;
  try {
    // A body can be read once, so another one of its kind stands for it.
    const body = init?.body instanceof ReadableStream
      ? new ReadableStream()
      : (init?.body ?? undefined) && "";
    new Request(
      isRequest(input) ? input.url : input as string,
      withOther(init, { body, signal: undefined }) as RequestInit,
    );
    return false;
  } catch (own) {
    return (own as Partial<Error>).message === error.message;
  }
}

/** The signal by which the caller gives the call up. That of the init wins, also where it is null. */
function signalOf(input: Input, init: Init | undefined): AbortSignal | undefined {
  if (init?.signal !== undefined) return init.signal ?? undefined;
  return isRequest(input) ? input.signal : undefined;
}

function bodyOf(response: unknown): ReadableStream | undefined {
  return (response as Partial<Response> | undefined)?.body ?? undefined;
}

/** Whether a fetch sends nothing, because the body of its `Request` was sent before: no upstream is at fault. */
function isUsed(input: Input, init: Init | undefined): boolean {
  return isRequest(input) && input.bodyUsed && (init?.body ?? undefined) === undefined;
}

function isRequest(input: Input): input is RequestLike {
  return typeof input === "object" && input !== null && "url" in input;
}

const OPTIONS: readonly string[] = ["key", "onRefused"];

function resolveKey(
  options: WrapFetchOptions,
): (input: Input, init: Init | undefined) => string | undefined {
  assertOptions("wrap fetch", options, OPTIONS);
  const { key, onRefused } = options;
  if (onRefused !== undefined && onRefused !== "reject" && onRefused !== "respond") {
    throw new TypeError(
      `Cannot wrap fetch: "onRefused" must be "reject" or "respond", received ${
        describe(onRefused)
      }`,
    );
  }
  if (key === undefined) return (input) => originOf(urlOf(input));
  if (typeof key === "string") return () => key;
  if (typeof key === "function") {
    return (input, init) => key({ method: methodOf(input, init), url: urlOf(input) });
  }
  throw new TypeError(
    `Cannot wrap fetch: "key" must be a string or a function, received ${describe(key)}`,
  );
}

/** Other schemes, such as `data:`, reach no upstream. */
function originOf({ protocol, origin }: URL): string | undefined {
  return protocol === "http:" || protocol === "https:" ? origin : undefined;
}

function urlOf(input: Input): URL {
  if (input instanceof URL) return input;
  const text = isRequest(input) ? input.url : String(input);
  try {
    return new URL(text);
  } catch {
    throw new TypeError(
      `Cannot fetch: the URL must be absolute, received ${
        describe(text)
      }: pass the origin as well, ` +
        'or "key" as a string to wrapFetch',
    );
  }
}

function methodOf(input: Input, init: Init | undefined): string {
  return String(init?.method ?? (isRequest(input) ? input.method : "GET")).toUpperCase();
}
