/** What `wrapFetch` returns has the type of the fetch that it wraps. Checked, never run. */

import { fetch as undiciFetch } from "undici";
import { CircuitBreaker, InMemoryCircuitBreakerStore } from "../../../mod.ts";

type Same<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false;

const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));
export function fit(): [Promise<Response>, string] {
  const own = breaker.wrapFetch();
  const undici = breaker.wrapFetch(undiciFetch, { key: "a" });
  const extended = breaker.wrapFetch(Object.assign(fetch, { preconnect: (url: string) => url }));
  const same: [Same<typeof own, typeof fetch>, Same<typeof undici, typeof undiciFetch>] = [
    true,
    true,
  ];
  // @ts-expect-error They differ.
  const different: Same<typeof own, typeof undici> = true;
  void [same, different];
  // @ts-expect-error It is the type of fetch, not any.
  own.noSuchMethod();
  // @ts-expect-error A number is no URL.
  own(1);
  return [own("https://example.com", { method: "POST" }), extended.preconnect("https://a.example")];
}

// @ts-expect-error Something that is not a fetch.
breaker.wrapFetch("https://example.com");
// @ts-expect-error An answer that does not exist.
breaker.wrapFetch(fetch, { onRefused: "retry" });
