/** transition: from every state, and from none, to every state. */

import { assertEquals } from "@std/assert";
import type { CircuitBreakerSnapshot, CircuitState } from "../../mod.ts";
import {
  type ConformanceStore,
  FRESH,
  type ManualClock,
  oneTo,
  snapshot,
  STATES,
  type Suite,
} from "./session.ts";

export function transitionTests({ test, timed }: Suite): void {
  for (const to of STATES) {
    timed(`transition() of a fresh key to ${to}`, async (store, clock) => {
      clock.at = 3000;
      const expected = to === "closed" ? FRESH : snapshot({ state: to, lastStateChange: 3000 });
      assertEquals(await store.transition("api", to), expected);
      assertEquals(await store.getState("api"), expected);
    });

    for (const from of STATES) {
      timed(`transition() from ${from} to ${to}`, async (store, clock) => {
        const before = await arrange(store, clock, from);
        clock.at = 5000;
        // Closing zeroes the counters also of a circuit that is closed, which is no change of state.
        const changedAt = from === to ? before.lastStateChange : 5000;
        const expected = from === to && to !== "closed" ? before : after(before, to, changedAt);
        assertEquals(await store.transition("api", to), expected);
        assertEquals(await store.getState("api"), expected);
      });
    }
  }

  test("transition() of a fresh key to closed creates no circuit", async (store) => {
    await store.transition("api", "closed");
    assertEquals(await store.list(), []);
  });

  timed("transition() to open again never prolongs an outage", async (store, clock) => {
    const opened = await store.transition("api", "open");
    for (const at of [1001, 2000, 60_000]) {
      clock.at = at;
      assertEquals(await store.transition("api", "open"), opened);
    }
  });

  timed("transition() through a whole outage", async (store, clock) => {
    const states: CircuitBreakerSnapshot[] = [];
    await store.recordSuccess("api");
    for (const _ of oneTo(3)) await store.recordFailure("api");
    for (const [at, to] of [[2000, "open"], [3000, "half-open"], [4000, "closed"]] as const) {
      clock.at = at;
      states.push(await store.transition("api", to));
    }
    const counted = { failureCount: 3, lastFailureTime: 1000 };
    assertEquals(states, [
      snapshot({ ...counted, state: "open", successCount: 1, lastStateChange: 2000 }),
      snapshot({ ...counted, state: "half-open", lastStateChange: 3000 }),
      snapshot({ lastFailureTime: 1000, lastStateChange: 4000 }),
    ]);
  });

  timed("transition() touches no other circuit", async (store) => {
    await store.recordFailure("web");
    await store.transition("api", "open");
    assertEquals(
      await store.getState("web"),
      snapshot({ failureCount: 1, lastFailureTime: 1000 }),
    );
  });

  test("concurrent transitions to one state change it once", async (store) => {
    const snapshots = await Promise.all(oneTo(20).map(() => store.transition("api", "open")));
    const final = await store.getState("api");
    assertEquals(final.state, "open");
    for (const each of snapshots) assertEquals(each, final);
  });

  test("transitions that race with failures lose none of them", async (store) => {
    await store.recordFailure("api");
    await Promise.all([
      ...oneTo(20).map(() => store.recordFailure("api")),
      store.transition("api", "open"),
      ...oneTo(20).map(() => store.recordFailure("api")),
      store.transition("api", "open"),
    ]);
    const { state, failureCount } = await store.getState("api");
    assertEquals({ state, failureCount }, { state: "open", failureCount: 41 });
  });
}

/** Brings a circuit to a state with both counters above zero, the last change at 2000 at the latest. */
async function arrange(
  store: ConformanceStore,
  clock: ManualClock,
  state: CircuitState,
): Promise<CircuitBreakerSnapshot> {
  clock.at = 1000;
  await store.recordFailure("api");
  clock.at = 2000;
  if (state !== "closed") await store.transition("api", state);
  clock.at = 3000;
  await store.recordFailure("api");
  const arranged = await store.recordSuccess("api");
  assertEquals(arranged, {
    state,
    failureCount: 2,
    successCount: 1,
    lastFailureTime: 3000,
    lastStateChange: state === "closed" ? 0 : 2000,
  });
  return arranged;
}

function after(
  before: CircuitBreakerSnapshot,
  state: CircuitState,
  at: number,
): CircuitBreakerSnapshot {
  return {
    ...before,
    state,
    failureCount: state === "closed" ? 0 : before.failureCount,
    successCount: state === "open" ? before.successCount : 0,
    lastStateChange: at,
  };
}
