/** What the tests of the breaker share: stores with a rule, functions that end when a test says so, a log. */

import {
  CircuitBreaker,
  type CircuitBreakerCallbacks,
  type CircuitBreakerOptions,
  InMemoryCircuitBreakerStore,
  type InMemoryCircuitBreakerStoreOptions,
} from "../../mod.ts";

/** Opens at the third failure, admits one probe after ten seconds. */
export const RULES = {
  trip: "store",
  failureThreshold: 3,
  resetTimeoutMs: 10_000,
  probeTimeoutMs: 5000,
} as const;

/** A store in memory on a clock that moves by hand. */
export function memoryStore(options: InMemoryCircuitBreakerStoreOptions = {}): {
  store: InMemoryCircuitBreakerStore;
  clock: { at: number };
} {
  const clock = { at: 1000 };
  const store = new InMemoryCircuitBreakerStore({ ...RULES, now: () => clock.at, ...options });
  return { store, clock };
}

/** A breaker over such a store, with a log of its events. */
export function memoryBreaker<FallbackResult = never>(
  options: CircuitBreakerOptions<FallbackResult> = {},
  rules: InMemoryCircuitBreakerStoreOptions = {},
): {
  breaker: CircuitBreaker<FallbackResult>;
  store: InMemoryCircuitBreakerStore;
  clock: { at: number };
  log: string[];
} {
  const log: string[] = [];
  const { store, clock } = memoryStore(rules);
  return { breaker: new CircuitBreaker(store, { ...logged(log), ...options }), store, clock, log };
}

/** Callbacks that write the names of events to a log. */
export function logged(log: string[]): CircuitBreakerCallbacks {
  return {
    onOpen: ({ key }) => log.push(`open ${key}`),
    onHalfOpen: ({ key }) => log.push(`half-open ${key}`),
    onClose: ({ key }) => log.push(`close ${key}`),
    onReject: ({ key }) => log.push(`reject ${key}`),
    onSuccess: ({ key }) => log.push(`success ${key}`),
    onFailure: ({ key }) => log.push(`failure ${key}`),
    onIgnored: ({ key }) => log.push(`ignored ${key}`),
    onTimeout: ({ key }) => log.push(`timeout ${key}`),
    onFallback: ({ key }) => log.push(`fallback ${key}`),
    onError: ({ error }) => log.push(`error ${error instanceof Error ? error.message : error}`),
  };
}

/** A function that fails. */
export function down(): Promise<never> {
  return Promise.reject(new Error("down"));
}

/** Ends of a call that a test decides. */
export interface Pending<Result> {
  /** The function to guard. */
  readonly call: () => Promise<Result>;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** Resolves when the function has been called. */
  readonly called: Promise<void>;
}

/** A function that ends when a test says so. */
export function pending<Result = string>(): Pending<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const called = Promise.withResolvers<void>();
  const call = () => {
    called.resolve();
    return promise;
  };
  return { call, resolve, reject, called: called.promise };
}

/** Lets a number of calls fail. */
export async function fail(
  breaker: CircuitBreaker<unknown>,
  key: string,
  times: number,
): Promise<void> {
  for (let time = 0; time < times; time++) await breaker.execute(key, down).catch(() => {});
}

/** Keeps the process alive while only timers of breakers run, which do not. */
export function keepingAlive(): Disposable {
  const timer = setTimeout(() => {}, 60_000);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
