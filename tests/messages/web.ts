import { CircuitBreaker, circuitErrorResponse, InMemoryCircuitBreakerStore } from "../../mod.ts";
import { circuitBreaker as express } from "../../src/web/express.ts";
import { circuitBreaker, guard } from "../../src/web/hono.ts";
import type { Listed } from "./listed.ts";

const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));

/** Anything, where the types would refuse it. */
function wrong(value: unknown): never {
  return value as never;
}

/** Has a middleware of Express answer a request, and throws what it passes on. */
function pass(req: { method: string }): void {
  const res = { once() {} };
  express(breaker)(req, wrong(res), (error) => {
    throw error;
  });
}

/** What `wrapFetch` and the frameworks say. */
export const WEB: readonly Listed[] = [
  [
    () => breaker.wrapFetch(wrong("https://secret")),
    'Cannot wrap fetch: "fetch" must be a function, received a string of 14 characters',
  ],
  [
    () => breaker.wrapFetch(fetch, { onRefused: wrong("retry") }),
    'Cannot wrap fetch: "onRefused" must be "reject" or "respond", received a string of 5 characters',
  ],
  [
    () => breaker.wrapFetch(fetch, { key: wrong(1) }),
    'Cannot wrap fetch: "key" must be a string or a function, received 1',
  ],
  [
    () => breaker.wrapFetch()("/secret"),
    "Cannot fetch: the URL must be absolute, received a string of 7 characters: pass the origin as " +
    'well, or "key" as a string to wrapFetch',
  ],
  [
    () => circuitErrorResponse(new Error(), { exposeKey: wrong(1) }),
    'Cannot answer error: "exposeKey" must be true or false, received 1',
  ],
  [
    () => circuitBreaker(wrong("secret")),
    'Cannot guard requests: "breaker" must be a CircuitBreaker, received a string of 6 characters',
  ],
  [
    () => guard(breaker, "a", wrong(undefined)),
    'Cannot guard requests: "handler" must be a function, received undefined',
  ],
  [
    () => pass({ method: "GET" }),
    'Cannot guard requests: there is no matched route in front of all routes: pass "key", or use the ' +
    "middleware in a route",
  ],
];
