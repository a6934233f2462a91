/** Times: exact with an injected clock, within the call's bounds of the caller's clock without. */

import { assert, assertEquals } from "@std/assert";
import { listing, oneTo, type Suite } from "./session.ts";

export function timeTests({ test, timed }: Suite): void {
  timed("an injected clock gives exact times", async (store, clock) => {
    clock.at = 1_234_567_890_123;
    await store.recordFailure("api");
    clock.at = 1_234_567_890_124;
    await store.transition("api", "open");
    clock.at = 9_999_999_999_999;
    const { lastFailureTime, lastStateChange } = await store.getState("api");
    assertEquals({ lastFailureTime, lastStateChange }, {
      lastFailureTime: 1_234_567_890_123,
      lastStateChange: 1_234_567_890_124,
    });
  });

  timed("an injected clock is asked at every call", async (store, clock) => {
    for (const at of [1, 50, 3000, 4_000_000_000]) {
      clock.at = at;
      assertEquals((await store.recordFailure("api")).lastFailureTime, at);
    }
  });

  timed("recordSuccess() moves no time", async (store, clock) => {
    await store.recordFailure("api");
    await store.transition("api", "open");
    clock.at = 2000;
    const { lastFailureTime, lastStateChange } = await store.recordSuccess("api");
    assertEquals([lastFailureTime, lastStateChange], [1000, 1000]);
  });

  test("lastFailureTime lies within its call, on the caller's clock", async (store) => {
    const sent = Date.now();
    const { lastFailureTime } = await store.recordFailure("api");
    assertBetween(sent, lastFailureTime, Date.now());
  });

  test("lastStateChange lies within its call, on the caller's clock", async (store) => {
    for (const state of ["open", "half-open", "closed"] as const) {
      const sent = Date.now();
      const { lastStateChange } = await store.transition("api", state);
      assertBetween(sent, lastStateChange, Date.now());
    }
  });

  test("a time that never was stays 0 on every clock", async (store) => {
    assertEquals((await store.recordFailure("failed")).lastStateChange, 0);
    assertEquals((await store.transition("opened", "open")).lastFailureTime, 0);
    assertEquals((await store.getState("failed")).lastStateChange, 0);
    assertEquals((await store.peek(["opened"]))[0]!.lastFailureTime, 0);
    assertEquals((await store.list({ state: "open" }))[0]!.lastFailureTime, 0);
  });

  test("reads of an unchanged circuit return equal numbers", async (store) => {
    await store.recordFailure("api");
    const expected = await store.transition("api", "open");
    for (const _ of oneTo(20)) {
      assertEquals(await store.getState("api"), expected);
      assertEquals(await store.peek(["api"]), [expected]);
    }
    const [{ openedAt, ...listed } = listing("api", {})] = await store.list();
    assertEquals(openedAt, expected.lastStateChange);
    const { version, votes, refusedCount, cause, actor } = listed;
    const rest = { version, votes, refusedCount, cause, actor };
    assertEquals(listed, { key: "api", storedKey: "api", ...expected, ...rest });
    const together = await Promise.all(oneTo(20).map(() => store.getState("api")));
    for (const each of together) assertEquals(each, expected);
  });

  test("times of later events are not earlier", async (store) => {
    let last = 0;
    for (const _ of oneTo(20)) {
      const { lastFailureTime } = await store.recordFailure("api");
      assert(lastFailureTime >= last, `${lastFailureTime} came after ${last}`);
      last = lastFailureTime;
    }
  });
}

function assertBetween(low: number, value: number, high: number): void {
  assert(low <= value && value <= high, `${value} is not within ${low} to ${high}`);
}
