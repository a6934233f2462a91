/** history: which changes are kept, with their causes, actors and reasons, page by page. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CircuitChange, HistoryOptions } from "../../mod.ts";
import { BREAKER, KEY, LEASE, probe, report, RESET, trip, tripUntilDue } from "./breaking.ts";
import { type ConformanceStore, FRESH, LABEL, oneTo, type Suite } from "./session.ts";

export function changeTests(suite: Suite): void {
  rowTests(suite);
  actTests(suite);
  pageTests(suite);
}

/** Changes in words: `closed>open trip`. */
export function words(changes: readonly CircuitChange[]): string[] {
  return changes.map(({ from, to, cause }) => `${from}>${to} ${cause}`);
}

function rowTests({ test, configured }: Suite): void {
  test("history() of no changes is empty", async (store) => {
    await store.recordFailure(KEY);
    await store.recordSuccess(KEY);
    assertEquals(await store.history(), []);
    assertEquals(await store.history({}), []);
  });

  configured("history() shows a change with all that it knows of it", BREAKER, async (c) => {
    for (const _ of oneTo(3)) await c.store.recordFailure(KEY);
    c.clock.at = 2000;
    await c.store.transition(KEY, "open");
    const [change, ...more] = await c.store.history();
    assert(change !== undefined);
    const { cursor, role, ...shown } = change;
    assertEquals([shown, more], [{
      key: KEY,
      storedKey: KEY,
      from: "closed",
      to: "open",
      version: 1,
      at: 2000,
      cause: "trip",
      actor: LABEL,
      reason: undefined,
      failureCount: 3,
      successCount: 0,
    }, []]);
    assertEquals(typeof role, "string");
    assertMatch(cursor, /^[A-Za-z0-9._-]+$/);
  });

  configured("history() is a chain of states with growing versions", BREAKER, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    await report(c.store, "failure");
    c.clock.at += RESET;
    await probe(c.store);
    await report(c.store, "success");
    await c.store.transition(KEY, "half-open");
    await c.store.transition(KEY, "closed");
    await c.store.transition(KEY, "open");
    await c.store.transition(KEY, "closed");
    const changes = await c.store.history();
    assertEquals(words(changes), [
      "closed>open trip",
      "open>half-open probe",
      "half-open>open probe",
      "open>half-open probe",
      "half-open>closed probe",
      "closed>half-open manual",
      "half-open>closed probe",
      "closed>open trip",
      "open>closed manual",
    ]);
    assertChain(changes);
  });

  configured("history() leaves out what moves nothing", BREAKER, async (c) => {
    await trip(c.store);
    await c.store.transition(KEY, "open");
    await c.store.getState(KEY);
    await c.store.recordFailure(KEY);
    assertEquals(words(await c.store.history()), ["closed>open trip"]);
    await c.store.transition(KEY, "closed");
    await c.store.recordFailure(KEY);
    // It zeroes a counter, and leaves the circuit closed.
    await c.store.transition(KEY, "closed");
    await c.store.transition("absent", "closed");
    assertEquals((await c.store.history()).length, 2);
  });

  configured("history() shows rounds of probes where they are asked for", BREAKER, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    c.clock.at += 2 * LEASE;
    await probe(c.store);
    await report(c.store, "success");
    const shown = ["closed>open trip", "open>half-open probe", "half-open>closed probe"];
    assertEquals(words(await c.store.history()), shown);
    assertEquals(words(await c.store.history({ rounds: false })), shown);
    const all = await c.store.history({ rounds: true });
    assertEquals(words(all), [
      "closed>open trip",
      "open>half-open probe",
      "half-open>half-open round",
      "half-open>closed probe",
    ]);
    assertChain(all);
  });
}

function actTests({ configured, fleet }: Suite): void {
  configured("history() shows who forced, released and reset, and why", BREAKER, async (c) => {
    await c.store.forceOpen(KEY, { actor: "ops", reason: "deploying" });
    await c.store.release(KEY, { actor: "dev", reason: "deployed" });
    await c.store.forceClosed(KEY);
    await c.store.release(KEY);
    await c.store.transition(KEY, "open");
    await c.store.reset(KEY, { actor: "ops", reason: "a\0b\ud800" });
    const changes = await c.store.history();
    assertEquals(
      changes.map((
        { from, to, cause, actor, reason },
      ) => [`${from}>${to} ${cause}`, actor, reason]),
      [
        ["closed>open force", "ops", "deploying"],
        ["open>closed release", "dev", "deployed"],
        ["closed>closed force", LABEL, undefined],
        ["closed>closed release", LABEL, undefined],
        ["closed>open trip", LABEL, undefined],
        ["open>closed reset", "ops", "a\ufffdb\ufffd"],
      ],
    );
    assertChain(changes);
  });

  configured("a reset starts no version anew, and keeps the history", BREAKER, async (c) => {
    await trip(c.store);
    await c.store.reset(KEY);
    assertEquals(await c.store.getState(KEY), FRESH);
    assertEquals(await c.store.list(), []);
    await trip(c.store);
    const changes = await c.store.history();
    assertEquals(words(changes), ["closed>open trip", "open>closed reset", "closed>open trip"]);
    assertChain(changes);
    assertEquals((await c.store.list())[0]?.version, changes.at(-1)!.version);
  });

  configured("a reset of a circuit that was closed is no change", BREAKER, async (c) => {
    await c.store.recordFailure(KEY);
    await c.store.reset(KEY, { reason: "cleaning" });
    await c.store.reset(KEY);
    await c.store.reset("absent");
    assertEquals(await c.store.history(), []);
    assertEquals(await c.store.list(), []);
  });

  configured("a forced state that ends by its time is a change, once", BREAKER, async (c) => {
    await c.store.forceOpen(KEY, { forMs: 500 });
    c.clock.at += 500;
    for (const _ of oneTo(3)) assertEquals(await c.store.list(), []);
    c.clock.at += 500;
    await c.store.transition(KEY, "open");
    const changes = await c.store.history();
    assertEquals(changes.map(({ cause, actor, at }) => [cause, actor, at]), [
      ["force", LABEL, 1000],
      ["expiry", "", 1500],
      ["trip", LABEL, 2000],
    ]);
    assertChain(changes);
  });

  configured(
    "a forced state that ends where it changes nothing is no change",
    BREAKER,
    async (c) => {
      await c.store.forceClosed(KEY, { forMs: 500 });
      c.clock.at += 500;
      assertEquals((await c.store.peek(KEY)).state, "closed");
      await c.store.transition(KEY, "open");
      assertEquals(words(await c.store.history()), ["closed>closed force", "closed>open trip"]);
    },
  );

  configured("a move after a forced state has ended follows its end", BREAKER, async (c) => {
    await trip(c.store);
    await c.store.forceClosed(KEY, { forMs: RESET });
    c.clock.at += RESET;
    await probe(c.store);
    const changes = await c.store.history();
    assertEquals(words(changes), [
      "closed>open trip",
      "open>closed force",
      "closed>open expiry",
      "open>half-open probe",
    ]);
    assertChain(changes);
  });

  fleet("history() names the instance that made a change", BREAKER, async (f) => {
    const other = f.another({ instanceId: "gateway-2" });
    await trip(f.store);
    await other.transition(KEY, "closed");
    assertEquals((await other.history()).map(({ actor }) => actor), [LABEL, "gateway-2"]);
    assertEquals((await f.store.list())[0]!.actor, "gateway-2");
  });
}

function pageTests({ test, timed }: Suite): void {
  test("history() page by page gives every change once", async (store) => {
    await moveOften(store, 25);
    const all = await store.history();
    assertEquals(all.length, 25);
    for (const limit of [1, 4, 25, 26]) {
      const paged = await pagesOf(store, { limit });
      assertEquals(paged.map(withoutCursor), all.map(withoutCursor));
    }
  });

  test("history() goes on after the last page with what came since", async (store) => {
    await moveOften(store, 3);
    const first = await store.history();
    const after = first.at(-1)!.cursor;
    assertEquals(await store.history({ after }), []);
    await moveOften(store, 2);
    const since = await store.history({ after });
    assertEquals(since.length, 2);
    assertEquals((await store.history({ after: since[0]!.cursor })).map(withoutCursor), [
      withoutCursor(since[1]!),
    ]);
    // The cursor of an earlier change gives the rest of that time, and then what came since.
    const rest = await store.history({ after: first[0]!.cursor });
    assertEquals(rest.map(({ version }) => version), [...first.slice(1), ...since].map(versionOf));
  });

  test("history() returns 100 changes by default, the oldest first", async (store) => {
    await moveOften(store, 101);
    const changes = await store.history();
    assertEquals([changes.length, changes[0]!.version], [100, 1]);
    assertEquals((await store.history({ limit: 10_000 })).length, 101);
  });

  test("history() of one circuit, by any form of its key", async (store) => {
    const odd = "nul \0";
    for (const key of ["a", odd, "a", "b", odd]) {
      const { state } = await store.peek(key);
      await store.transition(key, state === "open" ? "closed" : "open");
    }
    const [listed] = (await store.list()).filter(({ key }) => key.includes("sha256"));
    const expected = ["closed>open trip", "open>closed manual"];
    for (const key of [odd, listed!, (await store.history({ key: odd }))[0]!]) {
      assertEquals(words(await store.history({ key })), expected);
    }
    assertEquals(words(await store.history({ key: "a" })), expected);
    assertEquals(words(await store.history({ key: "b" })), ["closed>open trip"]);
    assertEquals(await store.history({ key: "c" }), []);
    const paged = await pagesOf(store, { key: "a", limit: 1 });
    assertEquals(words(paged), expected);
  });

  timed("history() since a moment has the changes of that moment", async (store, clock) => {
    for (const at of [1000, 2000, 2000, 3000]) {
      clock.at = at;
      await moveOften(store, 1);
    }
    const times = async (options: HistoryOptions) =>
      (await store.history(options)).map(({ at }) => at);
    assertEquals(await times({ since: 0 }), [1000, 2000, 2000, 3000]);
    assertEquals(await times({ since: 2000 }), [2000, 2000, 3000]);
    assertEquals(await times({ since: 2000.5 }), [3000]);
    assertEquals(await times({ since: 3001 }), []);
    assertEquals((await pagesOf(store, { since: 2000, limit: 1 })).length, 3);
  });

  test("history() since a change's own time has the change", async (store) => {
    await moveOften(store, 5);
    for (const { at, version } of await store.history()) {
      const versions = (await store.history({ since: at })).map(versionOf);
      assert(versions.includes(version), `${version} at ${at}: ${versions}`);
    }
  });
}

/** Moves a circuit back and forth. */
export async function moveOften(
  store: ConformanceStore,
  times: number,
  key: string = KEY,
): Promise<void> {
  for (const _ of oneTo(times)) {
    const { state } = await store.peek(key);
    await store.transition(key, state === "open" ? "closed" : "open");
  }
}

async function pagesOf(store: ConformanceStore, options: HistoryOptions): Promise<CircuitChange[]> {
  const all: CircuitChange[] = [];
  let page = await store.history(options);
  while (page.length > 0) {
    all.push(...page);
    page = await store.history({ ...options, after: page.at(-1)!.cursor });
  }
  return all;
}

function withoutCursor({ cursor: _, ...rest }: CircuitChange): Omit<CircuitChange, "cursor"> {
  return rest;
}

function versionOf({ version }: CircuitChange): number {
  return version;
}

/** Asserts that each change of a circuit begins where the one before ended. */
function assertChain(changes: readonly CircuitChange[]): void {
  let [state, version] = ["closed", 0];
  for (const change of changes) {
    assertEquals(change.from, state);
    assert(change.version > version, `${change.version} after ${version}`);
    [state, version] = [change.to, change.version];
  }
}
