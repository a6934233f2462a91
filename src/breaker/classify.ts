import { isCircuitBreakerStoreError } from "../errors.ts";
import type { PermitOutcome } from "../permit.ts";
import { isCircuitOpenError } from "./errors.ts";
import { refusalOf } from "./refusal_responses.ts";
import { isUnsent } from "./unsent_calls.ts";

/**
 * How a call ended: with a result, or with what it threw. `threw` says which, also where the thrown
 * value is `undefined`.
 *
 * @example A classification of one's own
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type CallEnd, defaultClassify } from "@circuit-breaker/postgres";
 *
 * class NotFound extends Error {}
 *
 * const classify = (end: CallEnd) =>
 *   end.threw && end.error instanceof NotFound ? "success" : defaultClassify(end);
 *
 * const threw = (error: unknown) => ({ threw: true, error, isProbe: false, key: "api" }) as const;
 * assertEquals(classify(threw(new NotFound())), "success");
 * assertEquals(classify(threw(new Error("reset"))), "failure");
 * ```
 */
export type CallEnd<Result = unknown> = CallReturn<Result> | CallThrow;

/** A call ended with a result. */
export interface CallReturn<Result = unknown> {
  /** It returned, or its promise was fulfilled. */
  readonly threw: false;
  /** What it returned. */
  readonly result: Result;
  /** Always absent. It is declared so that one pattern can take both kinds apart. */
  readonly error?: undefined;
  /** Whether the call was a probe, whose result decides on the circuit. */
  readonly isProbe: boolean;
  /** The key of the circuit. */
  readonly key: string;
}

/** A call threw, its promise was rejected, or it took longer than `callTimeoutMs`. */
export interface CallThrow {
  /** It threw. */
  readonly threw: true;
  /** What it threw: any value, most often an `Error`. */
  readonly error: unknown;
  /** Always absent. */
  readonly result?: undefined;
  /** Whether the call was a probe, whose result decides on the circuit. */
  readonly isProbe: boolean;
  /** The key of the circuit. */
  readonly key: string;
}

/** Statuses below 500 by which an upstream says that it is overloaded, or has waited too long. */
const FAILED_STATUSES: readonly number[] = [408, 429];

/**
 * The classification without the option `classify`.
 *
 * - What was thrown is a `failure`. Refusals of a circuit breaker of this package, and errors of its
 *   stores, are `ignored`: they say nothing about this upstream. So is the error of a `wrapFetch` that
 *   sends nothing, because no request can have such a header or method.
 * - A `Response` fails with a status of 5xx, 408 or 429. Any other 4xx says that the request was at
 *   fault: it is a `success`, and `ignored` for a probe, because a gateway in front of a broken upstream
 *   can answer so. What counts as a `Response` is what calls itself one and has a numeric `status`: that
 *   of every runtime, realm and library, and no plain object with a `status`. One that `circuitErrorResponse`
 *   or `wrapFetch` made of a refusal is `ignored`, as the refusal itself.
 * - Any other result is a `success`.
 *
 * A call that its caller gives up by the signal is never classified: it is `ignored`.
 *
 * @param end How the call ended.
 * @returns How it counts.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { defaultClassify } from "@circuit-breaker/postgres";
 *
 * const returned = (result: unknown) => ({ threw: false, result, isProbe: false, key: "api" }) as const;
 * assertEquals(defaultClassify(returned(new Response(null, { status: 503 }))), "failure");
 * assertEquals(defaultClassify(returned(new Response(null, { status: 404 }))), "success");
 * assertEquals(defaultClassify(returned({ status: 503 })), "success");
 * ```
 */
export function defaultClassify(end: CallEnd): PermitOutcome {
  if (!end.threw) return outcomeOfResult(end.result, end.isProbe);
  const { error } = end;
  return isCircuitOpenError(error) || isCircuitBreakerStoreError(error) || isUnsent(error)
    ? "ignored"
    : "failure";
}

/** How a result counts by default. */
export function outcomeOfResult(result: unknown, isProbe: boolean): PermitOutcome {
  if (typeof result !== "object" || result === null) return "success";
  const { [Symbol.toStringTag]: tag } = result as { [Symbol.toStringTag]?: unknown };
  if (tag !== "Response") return "success";
  const { status } = result as { status?: unknown };
  if (typeof status !== "number" || status < 400) return "success";
  if (status === 503 && refusalOf(result) !== undefined) return "ignored";
  if (status >= 500 || FAILED_STATUSES.includes(status)) return "failure";
  return isProbe ? "ignored" : "success";
}
