/** One call of everything that a store can do, so that each of its statements is sent. */

import { PostgresCircuitBreakerStore, type PostgresClient } from "../../../mod.ts";
import type { StoreOptions } from "../../conformance/session.ts";

/** The options under which statements have different texts. */
export const WAYS: readonly StoreOptions[] = [
  {},
  { failureThreshold: 2, failureWindowMs: 60_000, durability: "relaxed" },
  { failureThreshold: 2, resetTimeoutMs: 1, halfOpenMax: 2, pruneIdleMs: 1, maxCircuits: 100 },
  { maxStalenessMs: 50, resetTimeoutMs: 1 },
  { now: () => 1_000_000, resetTimeoutMs: 1, failureWindowMs: 60_000, failureThreshold: 2 },
  { trip: "caller", failureThreshold: 2, failureWindowMs: 60_000 },
  { trip: "store", failureThreshold: 2 },
  { resetTimeoutMs: 1, failureRateThreshold: 0.5, minimumThroughput: 2, durability: "relaxed" },
  { maxStalenessMs: 50, failureRateThreshold: 0.5, minimumThroughput: 2 },
];

/** How a tour goes. */
export interface TourOptions {
  /**
   * What an operator or a caller writes: it goes through every parameter.
   *
   * @default {"api"}
   */
  text?: string;
  /** @default {WAYS} */
  ways?: readonly StoreOptions[];
  /** The deadline of each call, in milliseconds. */
  timeoutMs?: number;
}

/** Uses a table in several ways, with keys of its own in each. Returns the states that it found. */
export async function tour(
  client: PostgresClient,
  table: string,
  { text = "api", ways = WAYS, timeoutMs = 5000 }: TourOptions = {},
): Promise<string[]> {
  const states: string[] = [];
  for (const [index, way] of ways.entries()) {
    await using store = new PostgresCircuitBreakerStore(client, table, {
      ...way,
      timeoutMs,
      instanceId: text.slice(0, 20),
    });
    const key = `${index} ${text}`;
    const other = `${text} ${index}`;
    await store.check();
    const see = async () => states.push((await store.peek(key)).state);
    await Promise.all([store.recordFailure(key), store.recordFailure(other)]);
    await Promise.all([store.recordSuccess(key), store.recordSuccess(other), store.getState(key)]);
    await store.recordFailure(key);
    await store.recordFailure(key);
    await store.transition(key, "open");
    await store.getState(key);
    await store.recordSuccess(key);
    await store.transition(key, "half-open");
    await store.transition(key, "closed");
    await see();
    await store.forceOpen(key, { reason: text, forMs: 60_000 });
    await store.getState(key);
    await see();
    await store.forceClosed(other, { reason: text });
    await store.release(key);
    await see();
    await store.peek([key, other]);
    await store.list({ limit: 2 });
    await store.list({ state: "open", after: key });
    await store.history({ limit: 10 });
    await store.history({ key, since: 0 });
    await store.reset(other);
    await store.prune({ idleMs: 0 });
  }
  return states;
}
