import { assertOptions } from "../option_names.ts";
import { describe } from "../describe.ts";
import type { WebResponse } from "../platform.ts";
import { type ProblemAnswer, refusalAnswer, timeoutAnswer } from "../problem_details.ts";
import { type CircuitOpenError, isCallTimeoutError, isCircuitOpenError } from "./errors.ts";
import { noteRefusal } from "./refusal_responses.ts";

/** Options of {@linkcode circuitErrorResponse}. */
export interface CircuitErrorResponseOptions {
  /**
   * Whether the answer shows the circuit's key, which can hold the name of an internal host.
   *
   * @default {false}
   */
  exposeKey?: boolean | undefined;
}

/**
 * The answer to an error of a breaker, for any server that answers with a `Response`, and for Hono's
 * `onError`: status 503
 * with `Retry-After` for a call that an open circuit refused, and 504 for one that took longer than
 * `callTimeoutMs`, both with problem details as in RFC 9457.
 *
 * @param error Anything that was thrown.
 * @param options What the answer shows.
 * @returns The response; `undefined` for any other error.
 * @throws {TypeError} If an option is misspelt or of a wrong type.
 *
 * @example
 * ```ts
 * import { CircuitOpenError, circuitErrorResponse } from "@circuit-breaker/postgres";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new CircuitOpenError({ key: "https://payments.internal", retryAfterMs: 1500 });
 * const response = circuitErrorResponse(error) as Response;
 * assertEquals([response.status, response.headers.get("retry-after")], [503, "2"]);
 * assertEquals(await response.json(), {
 *   type: "about:blank",
 *   title: "Service Unavailable",
 *   status: 503,
 *   detail: "A circuit breaker refuses this call. Try again in 2 s.",
 * });
 * assertEquals(circuitErrorResponse(new Error("another")), undefined);
 * ```
 */
export function circuitErrorResponse(
  error: unknown,
  options: CircuitErrorResponseOptions = {},
): WebResponse | undefined {
  const exposeKey = resolveAnswerOptions(options);
  if (isCircuitOpenError(error)) return toRefusal(error, { exposeKey });
  return isCallTimeoutError(error) ? toResponse(timeoutAnswer()) : undefined;
}

/** Makes a `Response` of the runtime. */
export function toResponse({ status, headers, body }: ProblemAnswer): WebResponse {
  return new Response(body, { status, headers });
}

/** The answer to a call that a circuit refuses. An outer circuit knows it. */
export function toRefusal(
  error: CircuitOpenError,
  options?: CircuitErrorResponseOptions,
): WebResponse {
  const response = toResponse(refusalAnswer(error, options));
  noteRefusal(response, error);
  return response;
}

/** Checks the options of an answer. */
export function resolveAnswerOptions(options: CircuitErrorResponseOptions): boolean {
  assertOptions("answer error", options, ["exposeKey"]);
  const { exposeKey = false } = options;
  if (typeof exposeKey === "boolean") return exposeKey;
  throw new TypeError(
    `Cannot answer error: "exposeKey" must be true or false, received ${describe(exposeKey)}`,
  );
}
