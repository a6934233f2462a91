import { brand, hasBrand } from "../brand.ts";
import type { CircuitState } from "../types.ts";

/** What a {@linkcode CircuitOpenError} says of the refused call. */
export interface CircuitOpenErrorOptions {
  /** The key of the circuit. */
  key: string;
  /** After how many milliseconds it is worth asking again: a whole number from 1. */
  retryAfterMs: number;
  /**
   * The state of the circuit.
   *
   * @default {"open"}
   */
  state?: CircuitState | undefined;
  /**
   * Whether an operator has forced the circuit open.
   *
   * @default {false}
   */
  isForced?: boolean | undefined;
  /**
   * Why, in the operator's words.
   *
   * @default {undefined}
   */
  reason?: string | undefined;
}

/**
 * The circuit refused a call: the upstream was not called. A retry before `retryAfterMs` is over is
 * refused as well, most likely.
 *
 * @example Answering a refused request
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import {
 *   CircuitBreaker,
 *   InMemoryCircuitBreakerStore,
 *   isCircuitOpenError,
 * } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore({ trip: "store", failureThreshold: 5 });
 * const breaker = new CircuitBreaker(store);
 * await store.forceOpen("payments", { reason: "maintenance" });
 *
 * let answer = "";
 * try {
 *   await breaker.execute("payments", () => "paid");
 * } catch (error) {
 *   if (!isCircuitOpenError(error)) throw error;
 *   answer = error.isForced ? `closed for ${error.reason}` : `again in ${error.retryAfterMs} ms`;
 * }
 * assertEquals(answer, "closed for maintenance");
 * ```
 */
export class CircuitOpenError extends Error {
  /** The name of the class, for logs. */
  override name: "CircuitOpenError" = "CircuitOpenError" as const;
  /** The key of the circuit, as the caller gave it. The message does not have it. */
  readonly key: string;
  /** After how many milliseconds it is worth asking again: a whole number from 1. */
  readonly retryAfterMs: number;
  /** The circuit's state: also `half-open` beyond its probes, and `closed` while it ramps up. */
  readonly state: CircuitState;
  /** Whether an operator has forced the circuit open. */
  readonly isForced: boolean;
  /** Why, in the operator's words; `undefined` where no operator gave a reason. */
  readonly reason: string | undefined;

  /**
   * Makes an error.
   *
   * @param options The key, when to ask again, and who keeps the circuit open.
   */
  constructor(options: CircuitOpenErrorOptions) {
    const { key, retryAfterMs, state = "open", isForced = false, reason } = options;
    const why = isForced ? "an operator keeps the circuit open" : REASONS[state];
    super(`Cannot call: ${why}, try again in ${retryAfterMs} ms`);
    this.key = key;
    this.retryAfterMs = retryAfterMs;
    this.state = state;
    this.isForced = isForced;
    this.reason = reason;
    brand(this, "CircuitOpenError");
  }
}

const REASONS: Readonly<Record<CircuitState, string>> = {
  closed: "the circuit has just closed and admits only some calls",
  open: "the circuit is open",
  "half-open": "the circuit is half-open and its probes are under way",
};

/**
 * A call took longer than `callTimeoutMs`. It may go on, and its result is ignored.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import {
 *   CircuitBreaker,
 *   InMemoryCircuitBreakerStore,
 *   isCallTimeoutError,
 * } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
 * const breaker = new CircuitBreaker(store, { callTimeoutMs: 10 });
 * // A breaker's timer does not keep a process alive. A connection does, and so does this timer.
 * const alive = setTimeout(() => {}, 10_000);
 * try {
 *   await breaker.execute("payments", () => new Promise(() => {}));
 * } catch (error) {
 *   assert(isCallTimeoutError(error) && error.timeoutMs === 10);
 * }
 * clearTimeout(alive);
 * ```
 */
export class CallTimeoutError extends Error {
  /** The name of the class, for logs. */
  override name: "CallTimeoutError" = "CallTimeoutError" as const;
  /** How long the call was allowed to take, in milliseconds. */
  readonly timeoutMs: number;

  /**
   * Makes an error.
   *
   * @param timeoutMs How long the call was allowed to take, in milliseconds.
   */
  constructor(timeoutMs: number) {
    super(`Cannot finish call: no result in ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
    brand(this, "CallTimeoutError");
  }
}

/**
 * Whether a value is a {@linkcode CircuitOpenError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where a circuit refused the call.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { CircuitOpenError, isCircuitOpenError } from "@circuit-breaker/postgres";
 *
 * assert(isCircuitOpenError(new CircuitOpenError({ key: "api", retryAfterMs: 1000 })));
 * ```
 */
export function isCircuitOpenError(value: unknown): value is CircuitOpenError {
  return hasBrand(value, "CircuitOpenError");
}

/**
 * Whether a value is a {@linkcode CallTimeoutError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where a call took longer than `callTimeoutMs`.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { CallTimeoutError, isCallTimeoutError } from "@circuit-breaker/postgres";
 *
 * assert(isCallTimeoutError(new CallTimeoutError(500)));
 * ```
 */
export function isCallTimeoutError(value: unknown): value is CallTimeoutError {
  return hasBrand(value, "CallTimeoutError");
}
