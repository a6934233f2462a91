/** The messages of `CircuitBreaker`, with what provokes each. */

import {
  type BreakerPermit,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  InMemoryCircuitBreakerStore,
} from "../../mod.ts";
import type { Listed } from "./listed.ts";

const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });

/** A call over a store that answers so. */
function asked(acquire: () => Promise<unknown>): Promise<unknown> {
  const permits = {
    acquire: acquire as () => Promise<BreakerPermit>,
    peek: store.peek.bind(store),
  };
  return hidden((onError) => new CircuitBreaker(permits, { onError }).execute("api", () => 1));
}

/** What no caller sees, as an error. */
async function hidden(
  call: (onError: CircuitBreakerOptions["onError"]) => Promise<unknown>,
): Promise<never> {
  const errors: unknown[] = [];
  await call(({ error }) => errors.push(error));
  throw errors[0];
}

/** A call that is refused. */
function refused(state: CircuitState, isForced = false): Promise<unknown> {
  const permit = {
    allowed: false,
    state,
    isProbe: false,
    retryAfterMs: 250,
    ...isForced && { forced: { state: "open", since: 0 } as const },
    report: () => Promise.resolve(),
  };
  const permits = { acquire: () => Promise.resolve(permit), peek: store.peek.bind(store) };
  return new CircuitBreaker(permits).execute("api", () => 1);
}

export const BREAKER: readonly Listed[] = [
  [
    () => new CircuitBreaker({} as never),
    'Cannot create circuit breaker: "store" must have the methods acquire(key) and peek(key), received ' +
    "an object",
  ],
  [
    () => new CircuitBreaker(new InMemoryCircuitBreakerStore()),
    'Cannot create circuit breaker: "store" must have a rule by which it opens circuits, such as ' +
    '"failureRateThreshold", or trip: "caller" where other programs open them, received one without',
  ],
  [
    () => new CircuitBreaker(store, { callTimeoutMs: 2 ** 31 }),
    'Cannot create circuit breaker: "callTimeoutMs" must be at most 2147483647, received 2147483648',
  ],
  [
    () => new CircuitBreaker(store).execute("api", 1 as never),
    'Cannot execute call: "fn" must be a function, received 1',
  ],
  [
    () => asked(() => Promise.resolve(undefined)),
    'Cannot execute call: "store" must resolve acquire(key) to a permit, received undefined',
  ],
  [
    () =>
      hidden((onError) =>
        new CircuitBreaker(store, { onError, classify: () => "ok" as never }).execute(
          "api",
          () => 1,
        )
      ),
    'Cannot classify call: "classify" must return "success", "failure" or "ignored", received a string ' +
    "of 2 characters",
  ],
  [() => refused("open"), "Cannot call: the circuit is open, try again in 250 ms"],
  [
    () => refused("half-open"),
    "Cannot call: the circuit is half-open and its probes are under way, try again in 250 ms",
  ],
  [
    () => refused("closed"),
    "Cannot call: the circuit has just closed and admits only some calls, try again in 250 ms",
  ],
  [
    () => refused("open", true),
    "Cannot call: an operator keeps the circuit open, try again in 250 ms",
  ],
  [
    async () => {
      // The breaker's timer does not keep the process alive.
      const alive = setTimeout(() => {}, 60_000);
      const breaker = new CircuitBreaker(store, { callTimeoutMs: 5 });
      await breaker.execute("api", () => new Promise(() => {})).finally(() => clearTimeout(alive));
    },
    "Cannot finish call: no result in 5 ms",
  ],
];
