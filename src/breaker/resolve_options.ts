import { describe } from "../describe.ts";
import {
  assertFunction,
  assertMilliseconds,
  assertOneOf,
  assertOptions,
  assertSignal,
} from "../options/check.ts";
import { lacksTrip } from "../quick_calls.ts";
import { CALLBACKS } from "./events.ts";
import type { BreakerStore, CircuitBreakerOptions, ExecuteOptions } from "./options.ts";

const CREATE = "create circuit breaker";
const EXECUTE = "execute call";

/** The longest that a timer of JavaScript waits. */
const MAX_TIMER = 2 ** 31 - 1;

const FUNCTIONS: readonly (keyof CircuitBreakerOptions)[] = [
  "classify",
  "fallback",
  ...Object.values(CALLBACKS),
];

/** The names of a breaker's options. */
export const BREAKER_OPTIONS: readonly (keyof CircuitBreakerOptions)[] = [
  "callTimeoutMs",
  "onStoreError",
  "record",
  ...FUNCTIONS,
];

/** Throws unless a breaker can use the store. */
export function assertStore(store: unknown): asserts store is BreakerStore {
  const { acquire, peek } = (store ?? {}) as Partial<BreakerStore>;
  if (typeof acquire !== "function" || typeof peek !== "function") {
    throw new TypeError(
      `Cannot ${CREATE}: "store" must have the methods acquire(key) and peek(key), received ` +
        describe(store),
    );
  }
  if (!lacksTrip(store as object)) return;
  throw new TypeError(
    `Cannot ${CREATE}: "store" must have a rule by which it opens circuits, such as ` +
      '"failureRateThreshold", or trip: "caller" where other programs open them, received one without',
  );
}

/** Throws unless the options are those of a breaker. */
export function assertBreakerOptions<Result>(options: CircuitBreakerOptions<Result>): void {
  assertOptions(CREATE, options, BREAKER_OPTIONS);
  const { callTimeoutMs, onStoreError = "allow", record = "background" } = options;
  assertMilliseconds(CREATE, "callTimeoutMs", callTimeoutMs);
  if (callTimeoutMs !== undefined && callTimeoutMs > MAX_TIMER) {
    throw new RangeError(
      `Cannot ${CREATE}: "callTimeoutMs" must be at most ${MAX_TIMER}, received ${callTimeoutMs}`,
    );
  }
  assertOneOf(CREATE, "onStoreError", onStoreError, ["allow", "reject"]);
  assertOneOf(CREATE, "record", record, ["await", "background"]);
  for (const name of FUNCTIONS) assertFunction(CREATE, name, options[name]);
}

/**
 * The options of a call, as they are now: the caller may use its object for another call meanwhile. Throws
 * unless the call can be made.
 */
export function resolveCall<Result, FallbackResult>(
  call: unknown,
  options: ExecuteOptions<Result, FallbackResult>,
): ExecuteOptions<Result, FallbackResult> {
  if (typeof call !== "function") {
    throw new TypeError(`Cannot ${EXECUTE}: "fn" must be a function, received ${describe(call)}`);
  }
  assertOptions(EXECUTE, options, ["signal", "fallback", "classify"]);
  const { signal, fallback, classify } = options;
  assertSignal(EXECUTE, signal);
  assertFunction(EXECUTE, "fallback", fallback ?? undefined);
  assertFunction(EXECUTE, "classify", classify);
  return { signal, fallback, classify };
}
