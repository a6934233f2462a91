/** recordSuccess, recordFailure and reset: exact counts, one after another and all at once. */

import { assertEquals } from "@std/assert";
import { ascending, FRESH, oneTo, snapshot, type Suite } from "./session.ts";

export function countingTests({ test, timed }: Suite): void {
  timed("recordSuccess() on a fresh key counts one and changes no state", async (store) => {
    assertEquals(await store.recordSuccess("api"), snapshot({ successCount: 1 }));
    assertEquals(await store.getState("api"), snapshot({ successCount: 1 }));
  });

  timed("recordFailure() on a fresh key counts one and changes no state", async (store) => {
    const expected = snapshot({ failureCount: 1, lastFailureTime: 1000 });
    assertEquals(await store.recordFailure("api"), expected);
    assertEquals(await store.getState("api"), expected);
  });

  timed("successes and failures are counted apart", async (store, clock) => {
    await store.recordSuccess("api");
    await store.recordFailure("api");
    clock.at = 2000;
    await store.recordFailure("api");
    clock.at = 3000;
    const expected = { failureCount: 2, successCount: 2, lastFailureTime: 2000 };
    assertEquals(await store.recordSuccess("api"), snapshot(expected));
  });

  for (const state of ["open", "half-open"] as const) {
    timed(`recordX() on a circuit that is ${state} counts and keeps it ${state}`, async (store) => {
      await store.transition("api", state);
      await store.recordFailure("api");
      assertEquals(await store.recordSuccess("api"), {
        state,
        failureCount: 1,
        successCount: 1,
        lastFailureTime: 1000,
        lastStateChange: 1000,
      });
    });
  }

  timed("reset() forgets a circuit in every state", async (store) => {
    for (const state of ["closed", "open", "half-open"] as const) {
      await store.recordFailure("api");
      await store.transition("api", state);
      assertEquals(await store.reset("api"), undefined);
      assertEquals(await store.getState("api"), FRESH);
      assertEquals(await store.list(), []);
    }
  });

  test("reset() of a circuit never seen does nothing", async (store) => {
    await store.reset("api");
    assertEquals(await store.list(), []);
  });

  timed("recording after reset() starts from zero", async (store) => {
    await store.recordFailure("api");
    await store.transition("api", "open");
    await store.reset("api");
    assertEquals(await store.recordSuccess("api"), snapshot({ successCount: 1 }));
  });

  timed("circuits are independent", async (store) => {
    await store.recordFailure("a");
    await store.transition("b", "open");
    await store.recordSuccess("c");
    await store.reset("a");
    assertEquals(await store.peek(["a", "b", "c", "A", "a "]), [
      FRESH,
      snapshot({ state: "open", lastStateChange: 1000 }),
      snapshot({ successCount: 1 }),
      FRESH,
      FRESH,
    ]);
  });

  test("concurrent failures on a fresh key each get a count of their own", async (store) => {
    const snapshots = await Promise.all(oneTo(100).map(() => store.recordFailure("api")));
    assertEquals(ascending(snapshots.map((each) => each.failureCount)), oneTo(100));
    assertEquals((await store.getState("api")).failureCount, 100);
  });

  test("concurrent successes and failures are counted exactly, each in its own count", async (store) => {
    const successes: number[] = [];
    const failures: number[] = [];
    await Promise.all(
      oneTo(50).flatMap(() => [
        store.recordSuccess("api").then((each) => successes.push(each.successCount)),
        store.recordFailure("api").then((each) => failures.push(each.failureCount)),
        store.getState("api"),
      ]),
    );
    assertEquals(ascending(successes), oneTo(50));
    assertEquals(ascending(failures), oneTo(50));
    const { successCount, failureCount } = await store.getState("api");
    assertEquals({ successCount, failureCount }, { successCount: 50, failureCount: 50 });
  });

  test("concurrent calls on many circuits stay apart", async (store) => {
    const keys = oneTo(20).map((index) => `circuit ${index}`);
    const calls = keys.flatMap((key, index) => oneTo(index + 1).map(() => key));
    await Promise.all(calls.map((key) => store.recordFailure(key)));
    const counts = (await store.peek(keys)).map((each) => each.failureCount);
    assertEquals(counts, oneTo(20));
  });

  test("a caller reads its own writes while others record", async (store) => {
    await Promise.all(
      oneTo(10).map(async () => {
        const written = (await store.recordFailure("api")).failureCount;
        const read = (await store.getState("api")).failureCount;
        assertEquals(read >= written, true, `wrote ${written}, then read ${read}`);
      }),
    );
  });

  test("counts that race with reset() are counted before it or after it", async (store) => {
    const counts = oneTo(20).map(() => store.recordFailure("api"));
    const reset = store.reset("api");
    const more = oneTo(20).map(() => store.recordFailure("api"));
    await Promise.all([...counts, reset, ...more]);
    const before = (await store.getState("api")).failureCount;
    assertEquals((await store.recordFailure("api")).failureCount, before + 1);
    assertEquals(before <= 40, true);
  });
}
