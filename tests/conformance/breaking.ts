/** Steps that the tests of open circuits share: a gateway's, as its policy takes them. */

import { assertEquals } from "@std/assert";
import type { CircuitBreakerSnapshot, CircuitState } from "../../mod.ts";
import { verdictOf } from "../support/policy.ts";
import {
  type Configured,
  type ConformanceStore,
  oneTo,
  type StoredCircuit,
  type StoreOptions,
} from "./session.ts";

export const RESET = 30_000;
/** Differs from `RESET`, so that no test confuses the two. */
export const LEASE = 12_000;
export const KEY = "api";

/** What the store and the policy are both given, unless a test says otherwise. */
export const BREAKER: StoreOptions = {
  failureThreshold: 3,
  resetTimeoutMs: RESET,
  probeTimeoutMs: LEASE,
};

/** The failures that open a circuit, and its opening. */
export async function trip(store: ConformanceStore, key: string = KEY): Promise<void> {
  for (const _ of oneTo(3)) await store.recordFailure(key);
  assertEquals((await store.transition(key, "open")).state, "open");
}

/** A circuit that has been open for exactly the reset timeout. */
export async function tripUntilDue({ store, clock }: Configured, key: string = KEY): Promise<void> {
  await trip(store, key);
  clock.at += RESET;
}

/** A policy's report of its probe. */
export async function report(
  store: ConformanceStore,
  result: "success" | "failure",
  key: string = KEY,
): Promise<CircuitBreakerSnapshot> {
  if (result === "success") await store.recordSuccess(key);
  else await store.recordFailure(key);
  return await store.transition(key, result === "success" ? "closed" : "open");
}

/** Claims the probe of a round that must be due. */
export async function probe(store: ConformanceStore, key: string = KEY): Promise<void> {
  assertEquals((await store.getState(key)).state, "half-open");
}

/** Requests to each of the stores at the same time: what their policies do, in no order. */
export async function ask(
  stores: ConformanceStore[],
  requests: number,
  now: number,
  key: string = KEY,
): Promise<{ probes: number; retryAfters: number[] }> {
  const snapshots = await Promise.all(
    stores.flatMap((store) => oneTo(requests).map(() => store.getState(key))),
  );
  const answer = { probes: 0, retryAfters: [] as number[] };
  for (const snapshot of snapshots) {
    const verdict = verdictOf(snapshot, now, RESET);
    if (verdict.kind === "probe") answer.probes++;
    else if (verdict.kind === "refuse") answer.retryAfters.push(verdict.retryAfter);
    else throw new Error(`Expected a probe or a refusal, received "${verdict.kind}"`);
  }
  return answer;
}

/** Asserts that a request is refused, for this many more seconds. */
export async function assertRefused(
  { store, clock }: Pick<Configured, "store" | "clock">,
  seconds: number,
  key: string = KEY,
): Promise<void> {
  const snapshot = await store.getState(key);
  assertEquals(snapshot.state, "open");
  assertEquals(verdictOf(snapshot, clock.at, RESET), { kind: "refuse", retryAfter: seconds });
}

/** The snapshot of a circuit as all instances see it, and its row where the backend has one. */
export async function lookAt(
  { store, row }: Configured,
  key: string = KEY,
): Promise<{ snapshot: CircuitBreakerSnapshot; row: StoredCircuit | undefined }> {
  return { snapshot: await store.peek(key), row: await row(key) };
}

/** Asserts that an action changes only counters: neither state, nor times, nor the round. */
export async function assertMovesNothing(
  configured: Configured,
  action: () => Promise<unknown>,
): Promise<void> {
  const essence = async () => {
    const { snapshot: { state, lastStateChange }, row } = await lookAt(configured);
    // A result that is counted for a circuit without a row makes one.
    const { version = 0, probeCount = 0, probeExpiresAt = 0 } = row ?? {};
    return { state, lastStateChange, version, probeCount, probeExpiresAt };
  };
  const before = await essence();
  await action();
  assertEquals(await essence(), before);
}

/** Asserts the circuit's version, where the backend has a row. */
export async function assertVersion({ row }: Configured, version: number): Promise<void> {
  const found = await row(KEY);
  if (found !== undefined) assertEquals(found.version, version);
}

/** Asserts the circuit's state as all instances see it. */
export async function assertState(
  { store }: Pick<Configured, "store">,
  state: CircuitState,
): Promise<void> {
  assertEquals((await store.peek(KEY)).state, state);
}
