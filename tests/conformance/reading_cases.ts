/** getState and peek: what a read returns, and that it changes nothing. */

import { assert, assertEquals } from "@std/assert";
import type { CircuitBreakerSnapshot } from "../../mod.ts";
import { FRESH, listing, snapshot, type Suite } from "./session.ts";

export function readingTests({ test, timed }: Suite): void {
  test("getState() of a circuit never seen is closed with zeros", async (store) => {
    assertEquals(await store.getState("api"), FRESH);
  });

  test("getState() and peek() create no circuit", async (store) => {
    await store.getState("api");
    await store.peek("api");
    await store.peek(["api", "web"]);
    assertEquals(await store.list(), []);
  });

  timed("peek() of one key returns what getState() returns", async (store) => {
    await store.recordFailure("api");
    await store.transition("api", "open");
    assertEquals(await store.peek("api"), await store.getState("api"));
  });

  timed(
    "peek() of many keys keeps their order, with duplicates and unknown ones",
    async (store) => {
      await store.recordFailure("b");
      await store.transition("a", "open");
      const a = snapshot({ state: "open", lastStateChange: 1000 });
      const b = snapshot({ failureCount: 1, lastFailureTime: 1000 });
      assertEquals(await store.peek(["b", "unseen", "a", "b", "b", "a"]), [b, FRESH, a, b, b, a]);
    },
  );

  test("peek() of one key in an array is an array", async (store) => {
    assertEquals(await store.peek(["api"]), [FRESH]);
  });

  test("peek() of no keys is an empty array", async (store) => {
    assertEquals(await store.peek([]), []);
  });

  test("peek() serves a thousand keys at once", async (store) => {
    const keys = Array.from({ length: 1000 }, (_, index) => `circuit ${index}`);
    await store.recordFailure("circuit 700");
    const snapshots = await store.peek(keys);
    assertEquals(snapshots.length, 1000);
    assertEquals(snapshots.findIndex((each) => each.failureCount === 1), 700);
    assertEquals(snapshots.filter((each) => each.failureCount === 0).length, 999);
  });

  timed("peek() leaves a circuit as it is", async (store, clock) => {
    for (const state of ["open", "half-open", "closed"] as const) {
      const before = await store.transition("api", state);
      clock.at += 1_000_000_000;
      assertEquals(await store.peek("api"), before);
      assertEquals(await store.peek(["api", "api"]), [before, before]);
      assertEquals(await store.getState("api"), before);
    }
  });

  test("snapshots have five fields of their own, with real numbers", async (store) => {
    await assertAllSnapshotsAreReal(async () => [
      await store.getState("never seen"),
      await store.recordSuccess("api"),
      await store.recordFailure("api"),
      await store.transition("api", "open"),
      await store.transition("api", "open"),
      await store.transition("api", "half-open"),
      await store.transition("api", "closed"),
      await store.getState("api"),
      await store.peek("api"),
      ...await store.peek(["api", "never seen"]),
    ]);
  });

  test("snapshots are copies: changing one changes nothing else", async (store) => {
    const recorded = await store.recordFailure("api");
    const expected = { ...recorded };
    const read = await store.getState("api");
    const [first, second] = await store.peek(["api", "api"]);
    const [listed] = await store.list();
    for (const each of [recorded, read, first!, listed!]) {
      each.state = "open";
      each.failureCount = 99;
    }
    assertEquals(second, expected);
    assertEquals(await store.getState("api"), expected);
    assertEquals(await store.list(), [listing("api", { snapshot: expected })]);
  });

  test("the snapshot of a circuit never seen is a copy too", async (store) => {
    (await store.getState("api")).failureCount = 99;
    (await store.peek(["api"]))[0]!.failureCount = 99;
    assertEquals(await store.getState("api"), FRESH);
    assertEquals(await store.getState("web"), FRESH);
  });
}

async function assertAllSnapshotsAreReal(
  collect: () => Promise<CircuitBreakerSnapshot[]>,
): Promise<void> {
  for (const each of await collect()) {
    assertEquals(Object.getPrototypeOf(each), Object.prototype);
    assertEquals(Object.keys(each).toSorted(), Object.keys(FRESH).toSorted());
    assertEquals(typeof each.state, "string");
    for (const [name, value] of Object.entries(each)) {
      if (name === "state") continue;
      assertEquals(typeof value, "number", name);
      assert(Number.isSafeInteger(value) && value >= 0, `${name} is ${value}`);
    }
  }
}
