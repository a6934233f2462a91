/**
 * A circuit breaker in front of {@link https://hono.dev | Hono}'s routes, and around the calls that they
 * make.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { circuitBreaker, circuitErrorResponse } from "@circuit-breaker/postgres/hono";
 * import { assertEquals } from "@std/assert";
 * import { Hono } from "hono";
 *
 * const store = new InMemoryCircuitBreakerStore({ failureThreshold: 2, failureWindowMs: 60_000 });
 * const breaker = new CircuitBreaker(store);
 *
 * const app = new Hono();
 * app.onError((error, c) => circuitErrorResponse(error) ?? c.text("failed", 500));
 * app.get("/reports/:id", circuitBreaker(breaker), () => {
 *   throw new Error("the database is gone");
 * });
 *
 * assertEquals((await app.request("/reports/1")).status, 500);
 * assertEquals((await app.request("/reports/2")).status, 500);
 * const refused = await app.request("/reports/3");
 * assertEquals(refused.status, 503);
 * assertEquals(refused.headers.get("retry-after"), "30");
 * assertEquals(await breaker.isOpen("GET /reports/:id"), true);
 * ```
 *
 * @module
 */

import { toRefusal, toResponse } from "../breaker/error_response.ts";
import type { CircuitOpenError } from "../breaker/errors.ts";
import { isCallTimeoutError, isCircuitOpenError } from "../breaker/errors.ts";
import type { CallContext } from "../breaker/options.ts";
import type { CallSignal } from "../breaker/signal.ts";
import type { WebRequest, WebResponse } from "../platform.ts";
import { refusalOf } from "../breaker/refusal_responses.ts";
import { timeoutAnswer } from "../problem_details.ts";
import type { BreakerLike } from "./breaker_like.ts";
import { type RoutedRequest, routeKey } from "./hono_route.ts";
import { assertBreaker, assertHandler, resolveWebOptions } from "./options.ts";

export { circuitErrorResponse } from "../breaker/error_response.ts";
export type { CircuitErrorResponseOptions } from "../breaker/error_response.ts";
export type { WebRequest, WebResponse } from "../platform.ts";
export type { BreakerLike } from "./breaker_like.ts";
export type { RoutedRequest } from "./hono_route.ts";

/** The part of Hono's request that is used, and what a proxy needs of it. */
export interface HonoRequestLike extends RoutedRequest {
  /** The request of the platform. */
  readonly raw: WebRequest<{ readonly signal: CallSignal }>;
  /** The path that the client asks for. */
  readonly path: string;
  /** The URL that the client asks for. */
  readonly url: string;
  /** A header of the request. */
  header(name: string): string | undefined;
}

/**
 * The part of Hono's context that is used. Functions that need more of it declare it:
 * `(c: Context) => ...`.
 */
export interface HonoContextLike {
  /** The request. */
  readonly req: HonoRequestLike;
  /** What a handler threw, once Hono has made a response of it. */
  readonly error: Error | undefined;
  /** The response. */
  res: unknown;
}

/** Options of {@linkcode circuitBreaker} and {@linkcode guard}. */
export interface HonoBreakerOptions<C extends HonoContextLike = HonoContextLike> {
  /**
   * The circuit's key, or a function that chooses it. Where the function returns `undefined`, the
   * request is not guarded. Do not take a key from what a client sends: each value makes a circuit.
   *
   * @default {undefined} the method and the pattern of the matched route, such as `GET /users/:id`
   */
  key?: string | ((c: C) => string | undefined) | undefined;
  /**
   * Whether the answer to a refused request shows the circuit's key.
   *
   * @default {false}
   */
  exposeKey?: boolean | undefined;
  /**
   * Answers a refused request.
   *
   * @default {undefined} status 503 with `Retry-After` and problem details
   */
  respond?: ((error: CircuitOpenError, c: C) => WebResponse | Promise<WebResponse>) | undefined;
}

/** What a handler gets of the call that the breaker lets through. */
export type HandlerCall = Pick<CallContext, "signal" | "isProbe">;

/**
 * Middleware that guards routes: it refuses requests while the circuit is open, and counts how others
 * end. The breaker judges the response: by default a status of 500 or more is a failure. What Hono's
 * `onError` makes of an error counts as well, so an `HTTPException` of 404 is no failure.
 *
 * A client that is gone before the response counts for nothing. With `callTimeoutMs` a request that takes
 * longer gets status 504; its handler goes on, and what it returns is dropped. The time ends with the
 * headers: the body of a stream may take longer, and how it ends does not count.
 *
 * Where an inner circuit refuses the request, or a call of its handler, `classify` gets that error: by default
 * it counts for nothing in this circuit. Middleware in between may make such a response anew, for a header: it
 * is known all the same behind another `circuitBreaker` or {@linkcode guard}. Where a plain handler returns it,
 * have `wrapFetch` reject instead, and answer in `onError`.
 *
 * @param breaker The breaker. Its own `fallback` has no effect here.
 * @param options The key, and the answer.
 * @returns The middleware, for `app.use` and for single routes.
 * @throws {TypeError} If an option is misspelt or of a wrong type.
 *
 * @example One circuit for all routes below a path
 * ```ts
 * import { CircuitBreaker, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { circuitBreaker } from "@circuit-breaker/postgres/hono";
 * import { Hono } from "hono";
 *
 * const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));
 * const app = new Hono();
 * app.use("/payments/*", circuitBreaker(breaker, { key: "payments" }));
 * ```
 */
export function circuitBreaker<C extends HonoContextLike = HonoContextLike>(
  breaker: BreakerLike,
  options: HonoBreakerOptions<C> = {},
): (c: C, next: () => Promise<void>) => Promise<WebResponse | void> {
  const { keyOf, refuse } = resolve(breaker, options);
  return async (c, next) => {
    const key = keyOf(c);
    if (key === undefined) return await next();
    let served: Promise<void> | undefined;
    try {
      await breaker.execute(key, async () => {
        await (served = next());
        // The response stays, which was made of an inner refusal. The breaker sees the refusal itself.
        if (isCircuitOpenError(c.error)) throw c.error;
        const refusal = noteRefusal(c, c.res);
        if (refusal !== undefined) throw refusal;
        return c.res;
      }, { signal: c.req.raw.signal, fallback: null });
    } catch (error) {
      if (served === undefined) return await refuse(error, c);
      if (isCallTimeoutError(error)) return toResponse(timeoutAnswer());
      // What the handler threw, or the client is gone and the handler goes on.
      await served;
    }
  };
}

/**
 * Wraps a handler that calls an upstream, such as a proxy. Unlike {@linkcode circuitBreaker} it hands the
 * call's signal to the handler, which aborts when the client is gone and when the call takes longer than
 * `callTimeoutMs`. The breaker judges the response that the handler returns; an error that it throws is a
 * failure, unless it is an `HTTPException`, which counts as its response.
 *
 * @param breaker The breaker. Its own `fallback` has no effect here.
 * @param key The circuit's key, or options with it.
 * @param handler Gets Hono's context and `{ signal, isProbe }`.
 * @returns A handler for a route.
 * @throws {TypeError} If an option is misspelt or of a wrong type.
 *
 * @example A proxy
 * ```ts
 * import { CircuitBreaker, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { guard } from "@circuit-breaker/postgres/hono";
 * import { Hono } from "hono";
 * import { proxy } from "hono/proxy";
 *
 * const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
 * const breaker = new CircuitBreaker(store, { callTimeoutMs: 5000 });
 * const app = new Hono();
 * app.all("/payments/*", guard(breaker, "payments", (c, { signal }) =>
 *   proxy(`http://payments.internal${c.req.path}`, { raw: c.req.raw, signal })));
 * ```
 */
export function guard<C extends HonoContextLike, R extends WebResponse>(
  breaker: BreakerLike,
  key: string | HonoBreakerOptions<C>,
  handler: (c: C, call: HandlerCall) => R | Promise<R>,
): (c: C) => Promise<WebResponse> {
  assertHandler(handler);
  const { keyOf, refuse } = resolve(breaker, typeof key === "string" ? { key } : key);
  return async (c) => {
    const key = keyOf(c);
    const { signal } = c.req.raw;
    if (key === undefined) return await handler(c, { signal, isProbe: false });
    let thrown: HttpExceptionLike | undefined;
    let isCalled = false;
    try {
      const response = await breaker.execute(key, async (call) => {
        isCalled = true;
        try {
          const response = await handler(c, call);
          noteRefusal(c, response);
          return response;
        } catch (error) {
          if (!isHttpException(error)) throw error;
          thrown = error;
          return error.getResponse() as WebResponse;
        }
      }, { signal, fallback: null });
      if (thrown !== undefined) throw thrown;
      return response as WebResponse;
    } catch (error) {
      if (!isCalled) return await refuse(error, c);
      if (isCallTimeoutError(error)) return toResponse(timeoutAnswer());
      if (signal.aborted) return clientGone();
      throw error;
    }
  };
}

/** The last refusal of each request, and what its response looks like. */
const refusals = new WeakMap<HonoContextLike, { refusal: CircuitOpenError; look: string }>();

/**
 * Returns the refusal that the response of a request stands for, and notes it for the circuits of middleware
 * further outside. Middleware in between makes the response anew, for a header, and the new one looks the same.
 * One that does not is another answer: a handler can go on after a refusal.
 */
function noteRefusal(c: HonoContextLike, response: unknown): CircuitOpenError | undefined {
  if (typeof response !== "object" || response === null) return undefined;
  const refusal = refusalOf(response);
  if (refusal !== undefined) {
    refusals.set(c, { refusal, look: lookOf(response) });
    return refusal;
  }
  const noted = refusals.get(c);
  return noted?.look === lookOf(response) ? noted?.refusal : undefined;
}

/** What middleware leaves as it is when it makes a response anew. */
function lookOf(response: object): string {
  const { status, headers } = response as Partial<Response>;
  return `${status} ${headers?.get("retry-after")} ${headers?.get("content-type")}`;
}

function resolve<C extends HonoContextLike>(breaker: BreakerLike, options: HonoBreakerOptions<C>) {
  assertBreaker(breaker);
  const { keyOf, exposeKey, respond } = resolveWebOptions(options, (c: C) => routeKey(c.req));
  /** Answers where the breaker has not let the request through. */
  const refuse = async (error: unknown, c: C): Promise<WebResponse> => {
    if (isCircuitOpenError(error)) {
      const response = await (respond?.(error, c) ?? toRefusal(error, { exposeKey }));
      refusals.set(c, { refusal: error, look: lookOf(response as object) });
      return response;
    }
    if (c.req.raw.signal.aborted) return clientGone();
    throw error;
  };
  return { keyOf, refuse };
}

/** Hono's `HTTPException`, also that of another copy of Hono. */
interface HttpExceptionLike extends Error {
  getResponse(): unknown;
}

function isHttpException(error: unknown): error is HttpExceptionLike {
  return error instanceof Error &&
    typeof (error as Partial<HttpExceptionLike>).getResponse === "function";
}

/** No client receives it. Logs show the status that nginx has for this. */
function clientGone(): WebResponse {
  return new Response(null, { status: 499 });
}
