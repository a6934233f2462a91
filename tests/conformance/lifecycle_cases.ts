/** destroy, close and asyncDispose: idempotent, and without effect on the circuits. */

import { assert, assertEquals } from "@std/assert";
import { type ConformanceStore, FRESH, oneTo, type Suite } from "./session.ts";

/** In an order that leaves no circuit behind: a gateway that drains makes any of them. */
const CALLS: Record<string, (store: ConformanceStore) => Promise<unknown>> = {
  getState: async (store) => assertEquals((await store.getState("api")).failureCount, 1),
  recordSuccess: (store) => store.recordSuccess("api"),
  recordFailure: async (store) => assertEquals((await store.recordFailure("api")).failureCount, 2),
  transition: (store) => store.transition("api", "open"),
  "peek one": async (store) => assertEquals((await store.peek("api")).state, "open"),
  "peek many": (store) => store.peek(["api"]),
  history: async (store) => assertEquals((await store.history()).length, 1),
  check: (store) => store.check(),
  list: async (store) => assertEquals((await store.list()).length, 1),
  reset: (store) => store.reset("api"),
};

const ENDINGS: Record<string, (store: ConformanceStore) => unknown> = {
  "destroy()": (store) => store.destroy(),
  "close()": (store) => store.close(),
  "asyncDispose": (store) => store[Symbol.asyncDispose](),
};

export function lifecycleTests({ test }: Suite): void {
  test("destroy() is synchronous and returns nothing", async (store) => {
    await store.recordFailure("api");
    assertEquals(store.destroy(), undefined);
  });

  test("destroy(), close() and asyncDispose are idempotent, in any order", async (store) => {
    store.destroy();
    store.destroy();
    await store.close();
    await store[Symbol.asyncDispose]();
    store.destroy();
    await store.close();
  });

  test("close() twice at once is one close", async (store) => {
    await store.recordFailure("api");
    await Promise.all([store.close(), store.close(), store[Symbol.asyncDispose]()]);
  });

  for (const [ending, end] of Object.entries(ENDINGS)) {
    test(`${ending} leaves the circuits alone and serves later calls`, async (store) => {
      await store.recordFailure("api");
      await end(store);
      for (const [name, call] of Object.entries(CALLS)) {
        const result = call(store);
        assert(result instanceof Promise, name);
        await result;
      }
      assertEquals(await store.getState("api"), FRESH);
    });
  }

  test("close() lets calls under way finish", async (store) => {
    const calls = oneTo(20).map(() => store.recordFailure("api"));
    await store.close();
    const counts = (await Promise.all(calls)).map((each) => each.failureCount);
    assertEquals(counts.toSorted((a, b) => a - b), oneTo(20));
  });
}
