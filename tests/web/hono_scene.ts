import type { Hono } from "hono";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  InMemoryCircuitBreakerStore,
} from "../../mod.ts";

/** A scene for Hono's middleware. */
export interface HonoScene {
  readonly store: InMemoryCircuitBreakerStore;
  readonly breaker: CircuitBreaker<unknown>;
  counts(key: string): Promise<[failures: number, successes: number]>;
  keys(): Promise<string[]>;
}

/** A breaker that opens after two failures, and records before a call ends. */
export function scene(options: CircuitBreakerOptions<unknown> = {}): HonoScene {
  const store = new InMemoryCircuitBreakerStore({ failureThreshold: 2, failureWindowMs: 60_000 });
  const breaker = new CircuitBreaker<unknown>(store, { record: "await", ...options });
  const counts = async (key: string): Promise<[number, number]> => {
    const { failureCount, successCount } = await store.peek(key);
    return [failureCount, successCount];
  };
  const keys = async () => (await store.list()).map(({ key }) => key);
  return { store, breaker, counts, keys };
}

/** Asks an app, without a server. */
export async function ask(
  app: Hono,
  path: string,
  init?: RequestInit,
): Promise<[status: number, text: string]> {
  const response = await app.request(path, init);
  return [response.status, await response.text()];
}
