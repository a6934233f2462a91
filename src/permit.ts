import type { CircuitForce } from "./listing_types.ts";
import type { WatchOptions } from "./operator_types.ts";
import type { CircuitState, ResultOptions } from "./types.ts";

/**
 * How a call ended. `ignored` says nothing about the upstream: the caller gave up, or the request was
 * at fault.
 */
export type PermitOutcome = "success" | "failure" | "ignored";

/** Options of `acquire`. */
export interface AcquireOptions {
  /**
   * Ends a probe that its caller gives up: where it aborts before the report, the outcome is `ignored`,
   * and the probe's slot is free again at once. It has no effect on other permits.
   *
   * @default {undefined}
   */
  signal?: WatchOptions["signal"];
}

/**
 * The answer to one request for one call: whether it may be made, and where its result goes.
 *
 * The result of a permit belongs to the permit, however late it comes: a probe of a round that is over
 * changes no state. A probe that is never reported keeps its slot for `probeTimeoutMs`.
 *
 * @example Guarding a call
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore({ trip: "store", failureThreshold: 5 });
 *
 * async function guarded(call: () => Promise<string>): Promise<string> {
 *   const permit = await store.acquire("payments");
 *   if (!permit.allowed) throw new Error(`Try again in ${permit.retryAfterMs} ms`);
 *   try {
 *     const answer = await call();
 *     await permit.report("success");
 *     return answer;
 *   } catch (error) {
 *     await permit.report("failure"); // does nothing where the success was reported
 *     throw error;
 *   }
 * }
 *
 * assertEquals(await guarded(() => Promise.resolve("paid")), "paid");
 * assertEquals((await store.peek("payments")).successCount, 1);
 * ```
 */
export interface Permit {
  /** Whether the call may be made. */
  readonly allowed: boolean;
  /**
   * The state of the circuit for the fleet. A `half-open` circuit refuses calls beyond its probes, and a
   * `closed` one refuses some while it ramps up.
   */
  readonly state: CircuitState;
  /** Whether the call is a probe, whose result decides on the circuit. */
  readonly isProbe: boolean;
  /**
   * After how many milliseconds it is worth asking again: a whole number from 1 where the call is
   * refused, and 0 where it is allowed.
   */
  readonly retryAfterMs: number;
  /** What an operator forces on the circuit, with the reason; absent where no operator does. */
  readonly forced?: CircuitForce;
  /**
   * Reports how the call ended. A success and a failure are counted, and the result of a probe then
   * decides on its round. Reporting again does nothing, and neither does a report on a permit
   * that is not allowed, or on a probe that `close()` or the signal has ended.
   *
   * @param outcome How the call ended.
   * @param options How long it took.
   * @returns The state of the circuit after it, once the effect is stored; `undefined` where nothing
   * was to be stored.
   * @throws {TypeError} If the outcome is unknown, or an option is misspelt or of a wrong type.
   * @throws {RangeError} If the duration is negative.
   * @throws {CircuitBreakerStoreError} If it was not stored, or may not have been.
   */
  report(outcome: PermitOutcome, options?: ResultOptions): Promise<CircuitState | undefined>;
}
