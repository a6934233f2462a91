/** failureWindowMs: only the failures of the last window count, in every kind of read. */

import { assertEquals } from "@std/assert";
import {
  ask,
  assertMovesNothing,
  assertState,
  BREAKER,
  KEY,
  LEASE,
  probe,
  report,
  RESET,
  tripUntilDue,
} from "./breaking.ts";
import { ascending, type ConformanceStore, oneTo, type Suite } from "./session.ts";

const WINDOW = 10_000;
const WINDOWED = { ...BREAKER, trip: "caller" as const, failureWindowMs: WINDOW };

/** The number of failures in each kind of read. */
async function countsOf(store: ConformanceStore, key: string = KEY): Promise<number[]> {
  const listing = (await store.list()).find((each) => each.key === key);
  return [
    (await store.getState(key)).failureCount,
    (await store.peek(key)).failureCount,
    (await store.peek([key]))[0]!.failureCount,
    listing!.failureCount,
  ];
}

export function windowTests({ configured, fleet }: Suite): void {
  configured("a failure counts for failureWindowMs, to the millisecond", WINDOWED, async (c) => {
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
    c.clock.at = 4000;
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 2);
    for (const [at, count] of [[10_999, 2], [11_000, 1], [13_999, 1], [14_000, 0]]) {
      c.clock.at = at!;
      assertEquals(await countsOf(c.store), Array(4).fill(count), `at ${at}`);
    }
    assertEquals((await c.store.peek(KEY)).lastFailureTime, 4000);
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
  });

  configured("what a call returns counts as a read does", WINDOWED, async (c) => {
    await c.store.recordFailure(KEY);
    c.clock.at = 6000;
    await c.store.recordFailure(KEY);
    c.clock.at = 11_000;
    assertEquals((await c.store.recordSuccess(KEY)).failureCount, 1);
    assertEquals((await c.store.transition(KEY, "open")).failureCount, 1);
    assertEquals((await c.store.forceOpen(KEY)).failureCount, 1);
    assertEquals((await c.store.release(KEY)).failureCount, 1);
    c.clock.at = 16_000;
    assertEquals((await c.store.transition(KEY, "half-open")).failureCount, 0);
  });

  configured("rare failures never add up", WINDOWED, async (c) => {
    for (const _ of oneTo(50)) {
      assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
      c.clock.at += WINDOW;
    }
  });

  configured("failures at once count one by one", WINDOWED, async (c) => {
    await c.store.recordFailure(KEY);
    c.clock.at += WINDOW;
    const calls = oneTo(64).flatMap((index) => [
      c.store.recordFailure(KEY),
      ...index % 4 === 0 ? [c.store.recordSuccess(KEY)] : [],
      ...index % 8 === 0 ? [c.store.recordFailure(`circuit ${index % 3}`)] : [],
    ]);
    const snapshots = await Promise.all(calls);
    const counts = await Promise.all(oneTo(64).map(() => c.store.peek(KEY)));
    assertEquals(counts.every((each) => each.failureCount === 64), true);
    const failures = snapshots.map((each) => each.failureCount);
    for (const count of oneTo(64)) assertEquals(failures.includes(count), true, `${count}`);
  });

  configured("closing a circuit clears its window, reset() too", WINDOWED, async (c) => {
    for (const _ of oneTo(3)) await c.store.recordFailure(KEY);
    await c.store.transition(KEY, "open");
    await c.store.transition(KEY, "closed");
    assertEquals(await countsOf(c.store), [0, 0, 0, 0]);
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
    await c.store.reset(KEY);
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
  });

  configured("a probe's success clears the window, its failure does not", WINDOWED, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    assertEquals((await report(c.store, "failure")).failureCount, 1);
    c.clock.at += RESET;
    await probe(c.store);
    await c.store.recordFailure(KEY);
    assertEquals((await report(c.store, "success")).failureCount, 0);
  });

  const three = { ...WINDOWED, halfOpenMax: 3 };
  configured("only the window decides whether a late failure opens", three, async (c) => {
    await tripUntilDue(c);
    assertEquals((await ask([c.store], 3, c.clock.at)).probes, 3);
    await report(c.store, "success");
    for (const _ of oneTo(2)) await c.store.recordFailure(KEY);
    c.clock.at += WINDOW;
    await assertMovesNothing(c, () => report(c.store, "failure"));
    for (const _ of oneTo(2)) await c.store.recordFailure(KEY);
    assertEquals((await c.store.transition(KEY, "open")).state, "open");
  });

  configured("a clock set back keeps the failures near it", WINDOWED, async (c) => {
    c.clock.at = 100_000;
    await c.store.recordFailure(KEY);
    c.clock.at = 90_001;
    assertEquals(await countsOf(c.store), [1, 1, 1, 1]);
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 2);
    c.clock.at = 90_000;
    assertEquals(await countsOf(c.store), [1, 1, 1, 1]);
    c.clock.at = 80_000;
    assertEquals(await countsOf(c.store), [0, 0, 0, 0]);
    assertEquals((await c.store.recordFailure(KEY)).failureCount, 1);
  });

  for (const [failureThreshold, exact] of [[3, 3], [100, 100], [1500, 100]]) {
    const options = { trip: "caller" as const, failureThreshold, failureWindowMs: WINDOW };
    configured(
      `a window counts ${exact} failures exactly for a threshold of ${failureThreshold}`,
      options,
      async (c) => {
        const fill = () => Promise.all(oneTo(400).map(() => c.store.recordFailure(KEY)));
        await fill();
        c.clock.at += 1;
        const counts = (await fill()).map((each) => each.failureCount);
        assertEquals(ascending(counts), oneTo(400).map((index) => index + 400));
        c.clock.at += 1;
        for (const _ of oneTo(3)) await fill();
        assertEquals(await countsOf(c.store), Array(4).fill(2000));
        // More than the exact ones count by tenths of the window, and never too long.
        c.clock.at = 10_999;
        assertEquals(await countsOf(c.store), Array(4).fill(2000));
        c.clock.at = 1000 + WINDOW;
        assertEquals(await countsOf(c.store), Array(4).fill(exact));
        c.clock.at = 1002 + WINDOW;
        assertEquals(await countsOf(c.store), [0, 0, 0, 0]);
      },
    );
  }

  configured("failures of an open circuit stay in its window", WINDOWED, async (c) => {
    await tripUntilDue(c);
    assertEquals(await c.store.peek(KEY).then((each) => each.failureCount), 0);
    await c.store.recordFailure(KEY);
    await assertState(c, "open");
    const { state, failureCount } = await c.store.getState(KEY);
    assertEquals([state, failureCount], ["half-open", 1]);
    c.clock.at += LEASE;
    assertEquals((await c.store.getState(KEY)).failureCount, 0);
  });

  configured(
    "without failureWindowMs failures count until the circuit closes",
    BREAKER,
    async (c) => {
      for (const count of oneTo(5)) {
        c.clock.at += 10_000_000;
        assertEquals((await c.store.recordFailure(KEY)).failureCount, count);
      }
      assertEquals(await countsOf(c.store), [5, 5, 5, 5]);
    },
  );

  fleet("failures of three instances count one by one in one window", WINDOWED, async (f) => {
    const stores = [f.store, f.another(), f.another()];
    for (const _ of oneTo(3)) {
      const calls = stores.flatMap((store) => oneTo(20).map(() => store.recordFailure(KEY)));
      const counts = (await Promise.all(calls)).map((each) => each.failureCount);
      assertEquals(ascending(counts), oneTo(60));
      for (const store of stores) assertEquals(await countsOf(store), [60, 60, 60, 60]);
      f.clock.at += WINDOW;
    }
  });

  fleet("an instance without a window counts all, beside one that has it", WINDOWED, async (f) => {
    const plain = f.another({ failureWindowMs: undefined });
    await f.store.recordFailure(KEY);
    f.clock.at += WINDOW;
    assertEquals((await f.store.recordFailure(KEY)).failureCount, 1);
    assertEquals((await plain.recordFailure(KEY)).failureCount, 3);
  });

  fleet("instances with and without a window see each other's failures", WINDOWED, async (f) => {
    const plain = f.another({ failureWindowMs: undefined });
    const wider = f.another({ failureWindowMs: 6 * WINDOW, failureThreshold: 50 });
    await f.store.recordFailure(KEY);
    for (const _ of oneTo(4)) await plain.recordFailure(KEY);
    await wider.recordFailure(KEY);
    for (const _ of oneTo(30)) await plain.recordFailure(KEY);
    assertEquals((await f.store.peek(KEY)).failureCount, 36);
    assertEquals((await plain.peek(KEY)).failureCount, 36);
    // The row remembers 50 times since the wider window asked for them, so that it has 34 of them.
    assertEquals((await wider.peek(KEY)).failureCount, 36);
    f.clock.at += WINDOW;
    assertEquals((await f.store.peek(KEY)).failureCount, 0);
    assertEquals((await wider.peek(KEY)).failureCount, 36);
    await plain.transition(KEY, "closed");
    assertEquals((await wider.peek(KEY)).failureCount, 0);
  });
}
