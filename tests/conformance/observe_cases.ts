/** Observing: rules are judged, and no call is refused. */

import { assertEquals } from "@std/assert";
import { BREAKER, KEY, RESET } from "./breaking.ts";
import { type ConformanceStore, oneTo, snapshot, type Suite } from "./session.ts";

const OBSERVED = `${KEY}~observed`;
const OBSERVING = {
  ...BREAKER,
  failureThreshold: 3,
  trip: "store",
  mode: "observe",
  rampUpMs: 60_000,
} as const;

async function fail(store: ConformanceStore, times: number): Promise<void> {
  for (const _ of oneTo(times)) await store.recordFailure(KEY);
}

/** What the log says of the observed circuit. */
async function logged(store: ConformanceStore): Promise<string[]> {
  const changes = await store.history({ key: { storedKey: OBSERVED } });
  return changes.map(({ key, from, to, cause }) => `${key}: ${from} -> ${to}, ${cause}`);
}

/** Asserts that calls are admitted, whatever is judged. */
async function assertAdmits(store: ConformanceStore): Promise<void> {
  assertEquals((await store.getState(KEY)).state, "closed");
  const { allowed, state, isProbe, retryAfterMs } = await store.acquire(KEY);
  assertEquals([allowed, state, isProbe, retryAfterMs], [true, "closed", false, 0]);
}

export function observeTests({ configured, fleet }: Suite): void {
  configured("an observing store says when a circuit would have opened", OBSERVING, async (c) => {
    await fail(c.store, 2);
    assertEquals(await logged(c.store), []);
    await fail(c.store, 1);
    await assertAdmits(c.store);
    assertEquals(await logged(c.store), [`${OBSERVED}: closed -> open, trip`]);
    const listed = await c.store.list();
    const shown = listed.map(({ key, state, retryAt }) => [key, state, retryAt]);
    assertEquals(shown, [[OBSERVED, "open", c.clock.at + RESET]]);
    // A caller that decides by itself changes nothing that is not due.
    assertEquals((await c.store.transition(KEY, "open")).state, "closed");
  });

  configured("calls act as probes of an observed circuit", OBSERVING, async (c) => {
    await fail(c.store, 3);
    c.clock.at += RESET - 1;
    await c.store.recordSuccess(KEY);
    assertEquals((await logged(c.store)).length, 1);
    c.clock.at += 1;
    await fail(c.store, 1);
    c.clock.at += RESET;
    await assertAdmits(c.store);
    const permit = await c.store.acquire(KEY);
    await permit.report("success");
    await assertAdmits(c.store);
    assertEquals((await logged(c.store)).slice(1), [
      `${OBSERVED}: open -> half-open, probe`,
      `${OBSERVED}: half-open -> open, probe`,
      `${OBSERVED}: open -> half-open, probe`,
      `${OBSERVED}: half-open -> closed, probe`,
    ]);
  });

  configured("an observing store counts slow calls, also those of permits", {
    ...{ mode: "observe", resetTimeoutMs: RESET, windowMs: 10_000 },
    ...{ slowCallRateThreshold: 1, slowCallDurationMs: 200, minimumThroughput: 2 },
  }, async (c) => {
    await c.store.recordSuccess(KEY, { durationMs: 200 });
    assertEquals(await logged(c.store), []);
    await (await c.store.acquire(KEY)).report("success", { durationMs: 200 });
    assertEquals(await logged(c.store), [`${OBSERVED}: closed -> open, trip`]);
  });

  configured("an observing store obeys no operator, whose circuit stays", OBSERVING, async (c) => {
    await c.store.forceOpen(KEY);
    await assertAdmits(c.store);
    assertEquals((await c.store.peek([KEY]))[0]!.state, "open");
    await c.store.reset(KEY);
    assertEquals(await c.store.peek([KEY]), [snapshot({})]);
  });

  configured("a key that looks like an observed one is another key", OBSERVING, async (c) => {
    await c.store.recordFailure(OBSERVED);
    await c.store.recordFailure(KEY);
    const listed = await c.store.list();
    assertEquals(listed.map(({ failureCount }) => failureCount), [1, 1]);
    assertEquals(listed[0]!.key, OBSERVED);
  });

  fleet("an enforcing instance is not touched by an observing one", OBSERVING, async (c) => {
    const enforcing = c.another({ mode: "enforce" });
    await fail(c.store, 5);
    assertEquals(await enforcing.getState(KEY), snapshot({}));
    await fail(enforcing, 3);
    assertEquals((await enforcing.getState(KEY)).state, "open");
    await assertAdmits(c.store);
  });
}
