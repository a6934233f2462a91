import type { CircuitKey } from "../key.ts";
import type { CircuitBreakerSnapshot } from "../types.ts";
import { Emitter } from "./emitter.ts";
import type { CircuitBreakerEventType, CircuitBreakerListener, ListenerOptions } from "./events.ts";
import { Executor } from "./executor.ts";
import type {
  BreakerStore,
  CallContext,
  CircuitBreakerOptions,
  ExecuteOptions,
} from "./options.ts";
import {
  type FetchFunction,
  type GlobalFetch,
  wrapFetch,
  type WrapFetchOptions,
} from "./wrap_fetch.ts";
import { assertBreakerOptions, assertStore } from "./resolve_options.ts";

/**
 * What {@linkcode CircuitBreaker} extends: the runtime's `EventTarget`. It is declared without the types of
 * a library that a user's compiler may not have.
 */
export const PlainEventTarget: new () => object = EventTarget;

/**
 * A circuit breaker for any function. It asks its store before each call, and refuses the call with a
 * `CircuitOpenError` where the circuit is open. Over a `PostgresCircuitBreakerStore` all instances share
 * the circuits; over an `InMemoryCircuitBreakerStore` it breaks for one process. The store holds the rules
 * by which circuits open and close.
 *
 * With a store whose memory knows the circuit (`maxStalenessMs`, or a store in memory), a call on a
 * closed circuit waits for nothing. The breaker keeps nothing of closed circuits, however many keys there
 * are. It never closes its store.
 *
 * It is an `EventTarget` as well. Its events are listed in {@linkcode CircuitBreakerEventMap}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import {
 *   CircuitBreaker,
 *   InMemoryCircuitBreakerStore,
 *   isCircuitOpenError,
 * } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore({ trip: "store", failureThreshold: 2 });
 * await using breaker = new CircuitBreaker(store, { fallback: () => "later" });
 *
 * const pay = () => breaker.execute("payments", () => Promise.reject(new Error("down")));
 * assertEquals(await pay(), "later");
 * assertEquals(await pay(), "later");
 * assertEquals(await breaker.isOpen("payments"), true);
 * const refused = await breaker.execute("payments", () => "paid", {
 *   fallback: (error) => isCircuitOpenError(error) ? "refused" : "failed",
 * });
 * assertEquals(refused, "refused");
 * ```
 */
export class CircuitBreaker<FallbackResult = never> extends PlainEventTarget
  implements AsyncDisposable {
  readonly #store: BreakerStore;
  readonly #emitter: Emitter;
  readonly #executor: Executor;
  readonly #isTimed: boolean;
  #closing: Promise<void> | undefined;

  /**
   * Makes a breaker. It asks nothing and starts nothing.
   *
   * @param store Either store of this package, or an object that wraps one.
   * @param options See {@linkcode CircuitBreakerOptions}.
   * @throws {TypeError} If the store lacks a method, if it is one of this package without a rule by which
   * circuits open and without `trip`, or if an option is misspelt or of a wrong type.
   * @throws {RangeError} If an option is out of range.
   */
  constructor(store: BreakerStore, options: CircuitBreakerOptions<FallbackResult> = {}) {
    super();
    assertStore(store);
    assertBreakerOptions(options);
    this.#store = store;
    this.#emitter = new Emitter(this as unknown as EventTarget, options);
    this.#executor = new Executor(store, options, this.#emitter);
    this.#isTimed = options.callTimeoutMs !== undefined;
  }

  /**
   * Calls a function, if the circuit allows it, and records how the call ended.
   *
   * The promise settles as the function's own does. It is rejected with a `CircuitOpenError` where the
   * circuit refuses the call, with a `CallTimeoutError` after `callTimeoutMs`, with the signal's reason at
   * once when the signal aborts, and with the store's error only where `onStoreError` is `reject`. A
   * fallback stands in for some of these: see the option.
   *
   * @param key The circuit: any string, such as the name of the upstream, or a listed circuit.
   * @param fn The function. It is given the key, whether the call is a probe, and a signal.
   * @param options A signal, a fallback and a classification for this call.
   * @returns What the function or the fallback returns.
   * @throws {TypeError} If the key, the function or an option is wrong. The function is not called then.
   */
  execute<Result, OwnFallbackResult = FallbackResult>(
    key: CircuitKey,
    fn: (context: CallContext) => Result | PromiseLike<Result>,
    options?: ExecuteOptions<Result, OwnFallbackResult>,
  ): Promise<Result | OwnFallbackResult> {
    return this.#executor.execute(key, fn, options as ExecuteOptions<never, unknown>) as Promise<
      Result | OwnFallbackResult
    >;
  }

  /**
   * Makes a `fetch` that goes through this breaker, with the type of the one that it wraps. Each call is
   * one call of {@linkcode CircuitBreaker.execute}: an open circuit rejects it with a `CircuitOpenError`.
   *
   * The headers decide: a `Response` with 5xx, 408 or 429 is returned and counts as a failure, and a body
   * that breaks off later does not count. Where it should, read the body in `execute`. A request that cannot
   * be sent, because of a header or a method that no request can have, is ignored. Redirects belong to
   * the call and to the circuit of the first URL. The signal of the init, or of the `Request`, is the
   * caller's: its abort is ignored. `callTimeoutMs` aborts the request; it ends with the headers, and the
   * caller's signal can abort the body after that. It needs `AbortSignal.any` (Node 20.3 and later).
   *
   * @param fetch The runtime's `fetch`, that of a package, or one of your own.
   * @param options How to choose the circuit, and what a refused call gets.
   * @returns A function to use in its place.
   * @throws {TypeError} If `fetch` is no function, or an option is misspelt or of a wrong type. The
   * function that it returns rejects with one for a URL without an origin.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import {
   *   CircuitBreaker,
   *   InMemoryCircuitBreakerStore,
   *   isCircuitOpenError,
   * } from "@circuit-breaker/postgres";
   *
   * const store = new InMemoryCircuitBreakerStore({ failureThreshold: 2, failureWindowMs: 60_000 });
   * const guardedFetch = new CircuitBreaker(store).wrapFetch();
   *
   * // A port that nothing listens on: two failures open the circuit, the third call is not sent.
   * const url = "http://127.0.0.1:1/";
   * for (let i = 0; i < 2; i++) await guardedFetch(url).catch(() => {});
   * assertEquals(isCircuitOpenError(await guardedFetch(url).catch((error) => error)), true);
   * ```
   */
  wrapFetch<Fetch extends FetchFunction = GlobalFetch>(
    fetch: Fetch = globalThis.fetch as unknown as Fetch,
    options: WrapFetchOptions = {},
  ): Fetch {
    return wrapFetch(this, fetch, options, this.#isTimed);
  }

  /**
   * Whether the circuit is open, without any side effect: this never takes a probe. A half-open circuit is
   * not open, although it refuses calls beyond its probes.
   *
   * @param key Any string, or a listed circuit.
   * @returns Whether its state is `open`.
   * @throws {TypeError} If the key is wrong.
   * @throws {CircuitBreakerStoreError} If the store cannot be asked, whatever `onStoreError` says.
   */
  async isOpen(key: CircuitKey): Promise<boolean> {
    return (await this.#store.peek(key)).state === "open";
  }

  /**
   * Reads the circuit without any side effect.
   *
   * @param key Any string, or a listed circuit.
   * @returns A plain copy of its snapshot.
   * @throws {TypeError} If the key is wrong.
   * @throws {CircuitBreakerStoreError} If the store cannot be asked, whatever `onStoreError` says.
   */
  async snapshot(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    return await this.#store.peek(key);
  }

  /**
   * Adds a listener, as with every `EventTarget`. What it throws harms nothing.
   *
   * @param type The name of the event.
   * @param listener A function, or an object with `handleEvent`.
   * @param options Whether it is called once only, and a signal that removes it.
   */
  addEventListener<Type extends CircuitBreakerEventType>(
    type: Type,
    listener: CircuitBreakerListener<Type> | null,
    options: ListenerOptions | boolean = {},
  ): void {
    this.#emitter.add(type, listener as CircuitBreakerListener<CircuitBreakerEventType>, options);
  }

  /**
   * Removes a listener, as with every `EventTarget`.
   *
   * @param type The name of the event.
   * @param listener The listener as it was added.
   */
  removeEventListener<Type extends CircuitBreakerEventType>(
    type: Type,
    listener: CircuitBreakerListener<Type> | null,
  ): void {
    this.#emitter.remove(type, listener as CircuitBreakerListener<CircuitBreakerEventType>);
  }

  /**
   * Waits for results that are being recorded, at most 5 seconds. Call it before the store's `close`. Calls
   * that are under way go on, and their results are recorded as long as the store can be used. Later calls
   * are guarded as before, and each waits for its own record, because nothing waits for it after this.
   * Calling it again returns the same promise.
   *
   * @throws {StoreTimeoutError} If results are not recorded by then.
   */
  close(): Promise<void> {
    this.#closing ??= this.#executor.end();
    return this.#closing;
  }

  /** Closes the breaker at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
