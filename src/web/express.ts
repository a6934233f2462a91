/**
 * A circuit breaker in front of the routes of {@link https://expressjs.com | Express} 5, and of any Node
 * server with middleware of the form `(req, res, next)`, such as connect.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { circuitBreaker, circuitErrorHandler } from "@circuit-breaker/postgres/express";
 * import express from "express";
 *
 * const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
 * const breaker = new CircuitBreaker(store, { callTimeoutMs: 5000 });
 * const guardedFetch = breaker.wrapFetch();
 *
 * const app = express();
 * app.get("/reports/:id", circuitBreaker(breaker), async (_req, res) => {
 *   res.json(await guardedFetch("http://reports.internal/").then((answer) => answer.json()));
 * });
 * app.use(circuitErrorHandler()); // a refused fetch becomes status 503 with Retry-After
 * ```
 *
 * @module
 */

import { resolveAnswerOptions } from "../breaker/error_response.ts";
import type { CircuitOpenError } from "../breaker/errors.ts";
import { isCallTimeoutError, isCircuitOpenError } from "../breaker/errors.ts";
import type { CallSignal } from "../breaker/signal.ts";
import { type ProblemAnswer, refusalAnswer, timeoutAnswer } from "../problem_details.ts";
import type { BreakerLike } from "./breaker_like.ts";
import type { ExpressRequestLike, ExpressResponseLike } from "./express_like.ts";
import { routeKey } from "./express_route.ts";
import { ignoreLateHandler } from "./late_handler.ts";
import { assertBreaker, resolveWebOptions } from "./options.ts";
import { Serving } from "./serving.ts";

export type { BreakerLike } from "./breaker_like.ts";
export type { ExpressRequestLike, ExpressResponseLike } from "./express_like.ts";

/** Express's `next`, or connect's. */
export type ExpressNext = (error?: unknown) => void;

/** Options of {@linkcode circuitBreaker}. */
export interface ExpressBreakerOptions<
  Req extends ExpressRequestLike = ExpressRequestLike,
  Res extends ExpressResponseLike = ExpressResponseLike,
> {
  /**
   * The circuit's key, or a function that chooses it. Where the function returns `undefined`, the
   * request is not guarded. Do not take a key from what a client sends: each value makes a circuit.
   *
   * @default {undefined} the method and the pattern of the route, such as `GET /users/:id`, for a
   * middleware of a route. `app.use` runs before Express knows the route, and needs a key
   */
  key?: string | ((req: Req) => string | undefined) | undefined;
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
  respond?: ((error: CircuitOpenError, req: Req, res: Res, next: ExpressNext) => void) | undefined;
}

/** Options of {@linkcode circuitErrorHandler}. */
export interface CircuitErrorHandlerOptions {
  /**
   * Whether the answer shows the circuit's key.
   *
   * @default {false}
   */
  exposeKey?: boolean | undefined;
}

/**
 * Middleware that guards routes: it refuses requests while the circuit is open, and counts how others
 * end. The call lasts until the response has been sent. The breaker's `classify` gets a result with the
 * `status`, as of a `Response`: by default a status of 500 or more is a failure. So what `next(error)`
 * leads to counts by the status that the error handler sends.
 *
 * A request that another circuit refuses further inside counts for nothing in this one.
 *
 * A client that is gone before the response ends counts for nothing. A response that an error destroys,
 * as `pipeline` does, fails. With `callTimeoutMs` a request that takes longer gets status 504, unless its
 * headers were sent. Its handler goes on; what it does with the response then has no effect.
 *
 * @param breaker The breaker. Its own `fallback` has no effect here.
 * @param options The key, and the answer.
 * @returns The middleware.
 * @throws {TypeError} If an option is misspelt or of a wrong type.
 *
 * @example One circuit for all routes below a path
 * ```ts
 * import { CircuitBreaker, InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { circuitBreaker } from "@circuit-breaker/postgres/express";
 * import express from "express";
 *
 * const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));
 * const app = express();
 * app.use("/payments", circuitBreaker(breaker, { key: "payments" }));
 * ```
 */
export function circuitBreaker<
  Req extends ExpressRequestLike = ExpressRequestLike,
  Res extends ExpressResponseLike = ExpressResponseLike,
>(
  breaker: BreakerLike,
  options: ExpressBreakerOptions<Req, Res> = {},
): (req: Req, res: Res, next: ExpressNext) => void {
  assertBreaker(breaker);
  const { keyOf, exposeKey, respond } = resolveWebOptions(options, keyOfRoute);
  const guarded = async (key: string, req: Req, res: Res, next: ExpressNext): Promise<void> => {
    const { client, end } = new Serving(res);
    let isServed = false;
    try {
      await breaker.execute(key, () => {
        next();
        isServed = true;
        return end;
      }, { signal: client as unknown as CallSignal, fallback: null });
    } catch (error) {
      if (client.aborted) return;
      if (!isServed) {
        if (!isCircuitOpenError(error)) return next(error);
        // Another middleware has answered while the store was asked.
        if (res.headersSent) return;
        // It says nothing about the circuits of middleware in front of this one.
        Serving.fail(res, error);
        if (respond !== undefined) return respond(error, req, res, next);
        answer(res, refusalAnswer(error, { exposeKey }));
      } else if (isCallTimeoutError(error) && !res.headersSent) {
        answer(res, timeoutAnswer(), true);
        ignoreLateHandler(res);
      }
    }
  };
  return (req, res, next) => {
    let key: string | undefined;
    try {
      key = keyOf(req);
    } catch (error) {
      return next(error);
    }
    if (key === undefined) return next();
    guarded(key, req, res, next).catch(next);
  };
}

/**
 * An error handler that answers errors of breakers: status 503 with `Retry-After` for a call that an open
 * circuit refused, and 504 for one that took longer than `callTimeoutMs`, both with problem details as
 * in RFC 9457. Other errors go on to the next error handler. Use it behind all routes. With this handler a
 * refused call counts for nothing in {@linkcode circuitBreaker}, and without it by the status that is sent.
 *
 * Where the headers were sent, the error goes on too. With this handler {@linkcode circuitBreaker} counts
 * such a response as a failure, and without it as a client that is gone.
 *
 * @param options What the answer shows.
 * @returns The error handler, for `app.use`.
 * @throws {TypeError} If an option is misspelt or of a wrong type.
 *
 * @example
 * ```ts
 * import { circuitErrorHandler } from "@circuit-breaker/postgres/express";
 * import express from "express";
 *
 * const app = express();
 * app.use(circuitErrorHandler());
 * ```
 */
export function circuitErrorHandler(
  options: CircuitErrorHandlerOptions = {},
): (error: unknown, req: ExpressRequestLike, res: ExpressResponseLike, next: ExpressNext) => void {
  const exposeKey = resolveAnswerOptions(options);
  // Express recognises an error handler by its four parameters.
  return (error, _req, res, next) => {
    if (res.headersSent) {
      Serving.fail(res, error);
      next(error);
    } else if (isCircuitOpenError(error)) {
      Serving.fail(res, error);
      answer(res, refusalAnswer(error, { exposeKey }));
    } else if (isCallTimeoutError(error)) answer(res, timeoutAnswer());
    else next(error);
  };
}

function keyOfRoute(req: ExpressRequestLike): string {
  const key = routeKey(req);
  if (key !== undefined) return key;
  throw new TypeError(
    'Cannot guard requests: there is no matched route in front of all routes: pass "key", or use the ' +
      "middleware in a route",
  );
}

function answer(res: ExpressResponseLike, problem: ProblemAnswer, isLast = false): void {
  res.statusCode = problem.status;
  for (const [name, value] of Object.entries(problem.headers)) res.setHeader(name, value);
  // The request's body may be on its way, and its handler too.
  if (isLast) res.setHeader("connection", "close");
  res.end(problem.body);
}
