/** Bad arguments: a TypeError or RangeError in one grammar, and nothing lost or written. */

import { assertEquals, assertMatch } from "@std/assert";
import type { HistoryOptions, WatchOptions } from "../../mod.ts";
import { type ConformanceStore, failureOf, oneTo, type Suite } from "./session.ts";

type Call = (store: ConformanceStore) => unknown;

const NOT_A_STRING: unknown[] = [undefined, null, 42, 10n, {}, Symbol("key"), new String("key")];
const NOT_A_STATE: unknown[] = [undefined, null, "", "OPEN", "half_open", "constructor", 1, [
  "open",
]];

export function argumentTests({ test }: Suite): void {
  for (const method of ["getState", "recordSuccess", "recordFailure", "reset"] as const) {
    test(`${method}() refuses a key that is not a string`, async (store) => {
      for (const key of [...NOT_A_STRING, ["api"]]) {
        await assertRefuses(store, TypeError, () => store[method](key as string));
      }
    });
  }

  test("transition() refuses a key that is not a string", async (store) => {
    for (const key of [...NOT_A_STRING, ["api"]]) {
      await assertRefuses(store, TypeError, () => store.transition(key as string, "open"));
    }
  });

  test("transition() refuses a state that there is not", async (store) => {
    for (const state of NOT_A_STATE) {
      await assertRefuses(store, TypeError, () => store.transition("api", state as "open"));
    }
  });

  test("transition() to a state that there is not leaves the circuit as it is", async (store) => {
    const before = await store.transition("api", "open");
    await failureOf(() => store.transition("api", "ajar" as "open"));
    assertEquals(await store.getState("api"), before);
  });

  test("peek() refuses keys that are not strings", async (store) => {
    for (const key of NOT_A_STRING) {
      await assertRefuses(store, TypeError, () => store.peek(key as string));
      await assertRefuses(store, TypeError, () => store.peek(["api", key as string]));
    }
    await assertRefuses(store, TypeError, () => store.peek([["api"]] as unknown as string[]));
  });

  test("list() refuses a limit outside 1 to 10000", async (store) => {
    for (const limit of [0, -1, 10_001, 1.5, NaN, Infinity]) {
      await assertRefuses(store, RangeError, () => store.list({ limit }));
    }
  });

  test("list() refuses options of a wrong type", async (store) => {
    const calls: Call[] = [
      (s) => s.list({ limit: "10" as unknown as number }),
      (s) => s.list({ limit: 10n as unknown as number }),
      (s) => s.list({ after: 10 as unknown as string }),
      (s) => s.list({ after: ["a"] as unknown as string }),
      (s) => s.list({ state: "ajar" as "open" }),
      (s) => s.list({ state: ["open"] as unknown as "open" }),
      (s) => s.list("open" as unknown as { state: "open" }),
    ];
    for (const call of calls) await assertRefuses(store, TypeError, () => call(store));
  });

  test("list() refuses a misspelt option, and ignores what is not its own", async (store) => {
    await assertRefuses(store, TypeError, () => store.list({ Limit: 10 } as object));
    assertEquals(await store.list({ key: "api", timeout: 5 } as object), []);
  });

  test("history() refuses wrong options", async (store) => {
    const wrong: [type: typeof TypeError | typeof RangeError, options: unknown][] = [
      [TypeError, null],
      [TypeError, "api"],
      [TypeError, { Limit: 10 }],
      [TypeError, { sinse: 10 }],
      [TypeError, { key: 42 }],
      [TypeError, { key: ["api"] }],
      [TypeError, { since: "yesterday" }],
      [TypeError, { since: new Date() }],
      [TypeError, { after: 7 }],
      [TypeError, { rounds: 1 }],
      [TypeError, { limit: "10" }],
      ...[NaN, Infinity, 1e16].map((
        since,
      ): [typeof RangeError, unknown] => [RangeError, { since }]),
      ...[0, 10_001, 1.5].map((limit): [typeof RangeError, unknown] => [RangeError, { limit }]),
      ...["", "api", "1.cg..c-ku-0.7."].map((after): [typeof RangeError, unknown] => [
        RangeError,
        { after },
      ]),
    ];
    for (const [type, options] of wrong) {
      await assertRefuses(store, type, () => store.history(options as HistoryOptions));
    }
    assertEquals(
      await store.history({ limit: undefined, after: undefined, foreign: 1 } as object),
      [],
    );
  });

  test("watch() refuses wrong options at once", async (store) => {
    const wrong: [type: typeof TypeError | typeof RangeError, options: unknown][] = [
      [TypeError, null],
      [TypeError, { singal: 5 }],
      [TypeError, { signal: 5 }],
      [TypeError, { signal: {} }],
      [TypeError, { after: 7 }],
      [TypeError, { rounds: "yes" }],
      [TypeError, { onBreak: "log" }],
      [TypeError, { onbreak: () => {} }],
      [RangeError, { after: "latest" }],
    ];
    for (const [type, options] of wrong) {
      await assertRefuses(store, type, () => store.watch(options as WatchOptions));
    }
  });

  test("a refused call fails alone", async (store) => {
    const results = await Promise.allSettled(
      oneTo(30).map(async (index) => {
        if (index % 3 === 0) await store.recordFailure(index as unknown as string);
        if (index % 3 === 1) await store.transition("other", "ajar" as "open");
        if (index % 3 === 2) await store.recordFailure("api");
      }),
    );
    assertEquals(results.filter((each) => each.status === "fulfilled").length, 10);
    assertEquals((await store.getState("api")).failureCount, 10);
    assertEquals((await store.list()).map((entry) => entry.key), ["api"]);
  });
}

async function assertRefuses(
  store: ConformanceStore,
  type: typeof TypeError | typeof RangeError,
  call: () => unknown,
): Promise<void> {
  const error = await failureOf(call);
  assertEquals((error as Error).name, type.name, String(error));
  assertEquals(error instanceof type, true);
  assertMatch((error as Error).message, /^Cannot [^:]+: .+, received .+/s);
  assertEquals(await store.list(), []);
}
