import { CircuitBreakerStoreError } from "../errors.ts";

/** What the runtimes say of themselves. */
interface Globals {
  navigator?: { userAgent?: unknown };
  EdgeRuntime?: unknown;
}

/**
 * Whether this runtime binds promises, sockets and timers to the request that made them: Cloudflare
 * Workers, and Vercel's edge runtime.
 */
export function isRequestBound(): boolean {
  // dnt-shim-ignore
  const { navigator, EdgeRuntime } = globalThis as Globals;
  return navigator?.userAgent === "Cloudflare-Workers" || typeof EdgeRuntime === "string";
}

/** The error of a store that was made without `waitUntil` in such a runtime. */
export function requestBoundError(): CircuitBreakerStoreError {
  return new CircuitBreakerStoreError(
    'Cannot use store: this runtime ends all work together with its request, pass "waitUntil" to the ' +
      'store, for example waitUntil from "cloudflare:workers"',
  );
}
