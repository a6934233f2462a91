/** prune: idle closed circuits go, and nothing else does. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { BREAKER, KEY, tripUntilDue } from "./breaking.ts";
import { type ConformanceStore, failureOf, FRESH, oneTo, type Suite } from "./session.ts";

const HOUR = 3_600_000;

const keysOf = async (store: ConformanceStore) => (await store.list()).map(({ key }) => key);

export function pruningTests({ test, timed, configured }: Suite): void {
  timed("prune() removes a closed circuit idle for longer, and no other", async (store, clock) => {
    await store.recordSuccess("old");
    clock.at = 2000;
    await store.recordFailure("young");
    assertEquals(await store.prune({ idleMs: 1000 }), 0);
    clock.at = 2001;
    assertEquals(await store.prune({ idleMs: 1000 }), 1);
    assertEquals(await keysOf(store), ["young"]);
    assertEquals(await store.getState("old"), FRESH);
  });

  timed("prune() spares a circuit that was reported to since", async (store, clock) => {
    await store.recordSuccess(KEY);
    clock.at = 5000;
    await store.recordSuccess(KEY);
    clock.at = 5500;
    assertEquals(await store.prune({ idleMs: 1000 }), 0);
  });

  timed("prune() spares open and half-open circuits, however idle", async (store, clock) => {
    await store.transition("open", "open");
    await store.transition("half-open", "half-open");
    await store.transition("closed", "open");
    await store.transition("closed", "closed");
    clock.at = 1e9;
    assertEquals(await store.prune({ idleMs: 0 }), 1);
    assertEquals(await keysOf(store), ["half-open", "open"]);
  });

  timed("prune() spares forced circuits until the force ends", async (store, clock) => {
    await store.forceClosed("for ever");
    await store.forceClosed("a while", { forMs: 1000 });
    clock.at = 1999;
    assertEquals(await store.prune({ idleMs: 0 }), 0);
    clock.at = 2001 + HOUR;
    assertEquals(await store.prune({ idleMs: 0 }), 1);
    assertEquals(await keysOf(store), ["for ever"]);
  });

  timed("prune() spares a circuit for an hour after its state changed", async (store, clock) => {
    await store.transition(KEY, "open");
    await store.transition(KEY, "closed");
    clock.at += HOUR;
    assertEquals(await store.prune({ idleMs: 0 }), 0);
    clock.at += 1;
    assertEquals(await store.prune({ idleMs: 0 }), 1);
  });

  configured("prune() spares a circuit with a probe under way", BREAKER, async (c) => {
    await tripUntilDue(c);
    assertEquals((await c.store.getState(KEY)).state, "half-open");
    c.clock.at += 1e9;
    assertEquals(await c.store.prune({ idleMs: 0 }), 0);
  });

  timed("prune() keeps to its limit, and goes on at the next call", async (store, clock) => {
    await Promise.all(oneTo(1250).map((i) => store.recordSuccess(`circuit ${i}`)));
    clock.at = 10_000;
    assertEquals(await store.prune({ idleMs: 1, limit: 7 }), 7);
    let removed = 7;
    for (let more = 1; more > 0; removed += more) more = await store.prune({ idleMs: 1 });
    assertEquals(removed, 1250);
    assertEquals(await keysOf(store), []);
  });

  test("prune() by the store's own clock spares what was just used", async (store) => {
    await store.recordSuccess(KEY);
    assertEquals(await store.prune({ idleMs: 60_000 }), 0);
  });

  const wrong: [unknown, typeof TypeError | typeof RangeError][] = [
    [undefined, TypeError],
    [{}, TypeError],
    [{ idleMs: "1" }, TypeError],
    [{ idleMs: -1 }, RangeError],
    [{ idleMs: NaN }, RangeError],
    [{ idleMs: 1, limit: 0 }, RangeError],
    [{ idleMs: 1, limit: 1.5 }, RangeError],
    [{ idleMs: 1, limits: 1 }, TypeError],
  ];
  for (const [options, type] of wrong) {
    test(`prune(${JSON.stringify(options)}) is refused with a ${type.name}`, async (store) => {
      const error = await failureOf(() => store.prune(options as never));
      assert(error instanceof type, String(error));
      assertMatch((error as Error).message, /^Cannot prune circuits: /);
    });
  }
}
