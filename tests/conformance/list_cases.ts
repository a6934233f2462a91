/** list: every circuit once, in key order, filtered and page by page. */

import { assertEquals } from "@std/assert";
import type { CircuitListing, ListOptions } from "../../mod.ts";
import { BREAKER, KEY, LEASE, probe, report, RESET, trip } from "./breaking.ts";
import { type ConformanceStore, LABEL, listing, oneTo, snapshot, type Suite } from "./session.ts";

export function listTests({ test, timed, configured }: Suite): void {
  test("list() of no circuits is empty", async (store) => {
    assertEquals(await store.list(), []);
    assertEquals(await store.list({}), []);
  });

  timed("list() gives each circuit's key and snapshot", async (store) => {
    await store.recordFailure("b");
    await store.transition("a", "open");
    assertEquals(await store.list(), [
      listing("a", {
        snapshot: snapshot({ state: "open", lastStateChange: 1000 }),
        version: 1,
        openedAt: 1000,
        cause: "trip",
        actor: LABEL,
      }),
      listing("b", { snapshot: snapshot({ failureCount: 1, lastFailureTime: 1000 }) }),
    ]);
  });

  configured(
    "list() shows since when an outage lasts, and when to ask again",
    BREAKER,
    async (c) => {
      const shown = async () => {
        const [{ openedAt, retryAt, version, cause } = listing(KEY, {})] = await c.store.list();
        return [openedAt, retryAt, version, cause];
      };
      await c.store.recordFailure(KEY);
      assertEquals(await shown(), [0, undefined, 0, ""]);
      c.clock.at = 2000;
      await c.store.transition(KEY, "open");
      assertEquals(await shown(), [2000, 2000 + RESET, 1, "trip"]);
      const probed = c.clock.at = 2000 + RESET;
      await probe(c.store);
      assertEquals(await shown(), [2000, probed + LEASE, 2, "probe"]);
      c.clock.at += 100;
      await report(c.store, "failure");
      assertEquals(await shown(), [2000, probed + 100 + RESET, 3, "probe"]);
      const again = c.clock.at += RESET;
      await probe(c.store);
      // Another round of probes is no change that is shown.
      c.clock.at += 2 * LEASE;
      await probe(c.store);
      assertEquals(await shown(), [2000, again + 3 * LEASE, 5, "probe"]);
      await report(c.store, "success");
      assertEquals(await shown(), [0, undefined, 6, "probe"]);
    },
  );

  configured("list() shows when a forced state ends, and who forced it", BREAKER, async (c) => {
    await trip(c.store);
    const shown = async () => {
      const [{ openedAt, retryAt, forced, cause, actor } = listing(KEY, {})] = await c.store.list();
      return [openedAt, retryAt, forced?.by, cause, actor];
    };
    await c.store.forceOpen(KEY, { actor: "ops", forMs: 500 });
    assertEquals(await shown(), [1000, 1500, "ops", "force", "ops"]);
    await c.store.forceClosed(KEY);
    assertEquals(await shown(), [1000, undefined, LABEL, "force", LABEL]);
    await c.store.release(KEY, { actor: "dev" });
    assertEquals(await shown(), [1000, 1000 + RESET, undefined, "release", "dev"]);
  });

  test("list() filters by state", async (store) => {
    await store.recordFailure("closed 1");
    await store.transition("open 1", "open");
    await store.transition("open 2", "open");
    await store.transition("half-open 1", "half-open");
    assertEquals(keysOf(await store.list({ state: "closed" })), ["closed 1"]);
    assertEquals(keysOf(await store.list({ state: "open" })), ["open 1", "open 2"]);
    assertEquals(keysOf(await store.list({ state: "half-open" })), ["half-open 1"]);
  });

  test("list() orders keys by their UTF-8 bytes", async (store) => {
    // UTF-16 would put the emoji before U+FFEE, and a language's collation "b" before "C".
    const ordered = [" ", "10", "9", "C", "a", "a b", "a/b", "ab", "b", "é", "\uffee", "😀"];
    for (const key of ordered.toReversed()) await store.recordFailure(key);
    assertEquals(keysOf(await store.list()), ordered);
  });

  test("list() begins after a key, whether it exists or not", async (store) => {
    for (const key of ["a", "b", "d"]) await store.recordFailure(key);
    assertEquals(keysOf(await store.list({ after: "a" })), ["b", "d"]);
    assertEquals(keysOf(await store.list({ after: "c" })), ["d"]);
    assertEquals(keysOf(await store.list({ after: "d" })), []);
    assertEquals(keysOf(await store.list({ after: "" })), ["a", "b", "d"]);
  });

  test("list() with after set to the empty key leaves out that key only", async (store) => {
    for (const key of ["", "a"]) await store.recordFailure(key);
    assertEquals(keysOf(await store.list()), ["", "a"]);
    assertEquals(keysOf(await store.list({ after: "" })), ["a"]);
  });

  test("list() returns 100 circuits by default", async (store) => {
    await Promise.all(oneTo(101).map((index) => store.recordFailure(padded(index))));
    assertEquals((await store.list()).length, 100);
    assertEquals((await store.list({ limit: 101 })).length, 101);
    assertEquals((await store.list({ limit: 10_000 })).length, 101);
    assertEquals(keysOf(await store.list({ limit: 2 })), ["001", "002"]);
    assertEquals(keysOf(await store.list({ limit: 1, after: "100" })), ["101"]);
  });

  test("list() page by page gives every circuit once", async (store) => {
    const keys = oneTo(25).map(padded);
    await Promise.all(keys.map((key) => store.recordFailure(key)));
    assertEquals(keysOf(await pages(store, { limit: 4 })), keys);
  });

  test("list() pages through one state", async (store) => {
    const keys = oneTo(12).map(padded);
    for (const [index, key] of keys.entries()) {
      await (index % 2 ? store.transition(key, "open") : store.recordFailure(key));
    }
    assertEquals(
      keysOf(await pages(store, { state: "open", limit: 2 })),
      keys.filter((_, index) => index % 2),
    );
  });

  test("list() takes options that are undefined as not given", async (store) => {
    await store.recordFailure("api");
    const entries = await store.list({ state: undefined, after: undefined, limit: undefined });
    assertEquals(keysOf(entries), ["api"]);
  });
}

/** Reads all pages of a list, each after the last key of the page before. */
export async function pages(
  store: ConformanceStore,
  options: ListOptions,
): Promise<CircuitListing[]> {
  const all: CircuitListing[] = [];
  let page = await store.list(options);
  while (page.length > 0) {
    all.push(...page);
    page = await store.list({ ...options, after: page.at(-1)!.key });
  }
  return all;
}

export function keysOf(entries: CircuitListing[]): string[] {
  return entries.map((entry) => entry.key);
}

function padded(index: number): string {
  return String(index).padStart(3, "0");
}
