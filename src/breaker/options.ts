import type { CircuitKey } from "../key.ts";
import type { CircuitForce } from "../listing_types.ts";
import type { PermitOutcome } from "../permit.ts";
import type { CircuitBreakerSnapshot, CircuitState, ResultOptions } from "../types.ts";
import type { CallEnd } from "./classify.ts";
import type { CircuitBreakerCallbacks } from "./events.ts";
import type { CallSignal } from "./signal.ts";

/**
 * What a {@linkcode CircuitBreaker} needs of its store. Both stores of this package fit, and so does an
 * object that wraps one of them.
 *
 * @example A store that counts what it is asked
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import {
 *   type BreakerStore,
 *   CircuitBreaker,
 *   InMemoryCircuitBreakerStore,
 * } from "@circuit-breaker/postgres";
 *
 * const inner = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
 * let asked = 0;
 * const store: BreakerStore = {
 *   acquire: (key) => (asked++, inner.acquire(key)),
 *   peek: (key) => inner.peek(key),
 * };
 * assertEquals(await new CircuitBreaker(store).execute("api", () => "answer"), "answer");
 * assertEquals(asked, 1);
 * ```
 */
export interface BreakerStore {
  /**
   * Asks for a permit for one call. A rejection means that the store is broken, not the upstream. A breaker
   * has no time limit for it: the stores of this package answer or reject within their `timeoutMs`.
   */
  acquire(key: CircuitKey): Promise<BreakerPermit>;
  /** Reads a circuit without any side effect. */
  peek(key: CircuitKey): Promise<CircuitBreakerSnapshot>;
}

/** What a {@linkcode CircuitBreaker} needs of a permit. `Permit` fits. */
export interface BreakerPermit {
  /** Whether the call may be made. */
  readonly allowed: boolean;
  /** The state of the circuit. */
  readonly state: CircuitState;
  /** Whether the call is a probe. */
  readonly isProbe: boolean;
  /** After how many milliseconds it is worth asking again, where the call is refused. */
  readonly retryAfterMs: number;
  /** What an operator forced on the circuit; absent where none did. */
  readonly forced?: CircuitForce | undefined;
  /** Takes the result of the call, within a time of its own. May return the state of the circuit after it. */
  report(outcome: PermitOutcome, options?: ResultOptions): Promise<unknown>;
}

/** What a guarded function is called with. */
export interface CallContext {
  /** The key of the circuit. */
  readonly key: string;
  /** Whether the call is a probe: the first call after the circuit was open, most often. */
  readonly isProbe: boolean;
  /**
   * Aborts when the caller's signal aborts, with the caller's reason, and when the call takes longer than
   * `callTimeoutMs`, with a `CallTimeoutError`. Pass it on, so that the upstream's connection is free
   * again. It is made when it is first read, which costs more than all else: a function that cannot stop
   * should leave it alone.
   */
  readonly signal: CallSignal;
}

/** What a fallback is called with, beside the error. */
export interface FallbackContext {
  /** The key of the circuit. */
  readonly key: string;
  /** The caller's own signal, `undefined` where the caller gave none. */
  readonly signal: CallSignal | undefined;
}

/** Stands in for a call. What it throws, the caller gets. */
export type Fallback<Result> = (
  error: unknown,
  context: FallbackContext,
) => Result | PromiseLike<Result>;

/**
 * Options of {@linkcode CircuitBreaker}. The constructor reads them once. `undefined` means the same as
 * absent. The rules by which circuits open and close are the store's.
 */
export interface CircuitBreakerOptions<FallbackResult = never> extends CircuitBreakerCallbacks {
  /**
   * How long a call may take, in milliseconds, a positive number. Then it is rejected with a
   * `CallTimeoutError`, also where the function ignores its signal. All calls share one timer, which does
   * not keep the process alive.
   *
   * @default {undefined} as long as it takes
   */
  callTimeoutMs?: number | undefined;
  /**
   * Says how a call counts. Where it throws, or answers something else, the call counts as by default, and
   * `onError` is called: the caller's result is never lost.
   *
   * @default {defaultClassify}
   */
  classify?: ((end: CallEnd) => PermitOutcome) | undefined;
  /**
   * What a call does when the store cannot be asked. With `allow` it is made, unguarded. With `reject` it
   * is rejected with the store's error. In both cases `onError` is called. A store with
   * `onOutage: "local"` answers from memory in an outage, and then neither is needed.
   *
   * @default {"allow"}
   */
  onStoreError?: "allow" | "reject" | undefined;
  /**
   * Whether a call waits until its result is recorded. With `background` it does not, unless 1000 results
   * of this breaker are being recorded already. `close` waits for these. In both cases the call keeps its
   * result where recording it fails, and `onError` is called.
   *
   * @default {"background"}
   */
  record?: "await" | "background" | undefined;
  /**
   * Stands in for a call that a circuit refuses, that takes too long, or whose error counts as a failure,
   * and for one that a broken store refuses. It does not stand in for results: a `Response` with 503 is
   * returned as it is. Nor does it for what the caller aborts, or for errors that `classify` does not call
   * a failure. An option of `execute` goes first.
   *
   * @default {undefined}
   */
  fallback?: Fallback<FallbackResult> | undefined;
}

/** Options of one call. */
export interface ExecuteOptions<Result = unknown, FallbackResult = never> {
  /**
   * The caller's signal. When it aborts, the call is rejected at once with the signal's reason, and is
   * `ignored`: a probe gives its slot back. Where it has aborted before, nothing is called.
   *
   * @default {undefined}
   */
  signal?: CallSignal | undefined;
  /**
   * Stands in for this call, as the breaker's option of the same name. With `null` nothing does.
   *
   * @default {undefined} that of the breaker
   */
  fallback?: Fallback<FallbackResult> | null | undefined;
  /**
   * Says how this call counts.
   *
   * @default {undefined} as the breaker says
   */
  classify?: ((end: CallEnd<Result>) => PermitOutcome) | undefined;
}
