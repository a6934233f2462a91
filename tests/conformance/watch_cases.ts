/** watch: each change once, from the call on or from a cursor on. */

import { assertEquals } from "@std/assert";
import type { CircuitChange } from "../../mod.ts";
import { BREAKER, KEY, LEASE, probe, report, trip, tripUntilDue } from "./breaking.ts";
import { moveOften, words } from "./change_cases.ts";
import { type ConformanceStore, oneTo, type Suite } from "./session.ts";

/** The next changes of a watch. */
async function take(
  changes: AsyncIterator<CircuitChange>,
  count: number,
): Promise<CircuitChange[]> {
  const taken: CircuitChange[] = [];
  while (taken.length < count) taken.push((await changes.next()).value);
  return taken;
}

export function watchTests({ test, configured }: Suite): void {
  test("watch() delivers what happens after its call, and nothing before", async (store) => {
    await moveOften(store, 3);
    const changes = store.watch();
    await moveOften(store, 2);
    await moveOften(store, 1, "other");
    const taken = await take(changes, 3);
    assertEquals(taken.map(({ version }) => version), [4, 5, 6]);
    assertEquals(taken, await ownShape(store, taken));
    await changes.return?.();
  });

  configured("watch() shows acts and ends of forces that change the state", BREAKER, async (c) => {
    const changes = c.store.watch();
    await c.store.forceClosed(KEY);
    await c.store.forceOpen(KEY, { forMs: 500 });
    c.clock.at += 500;
    await c.store.peek(KEY);
    await trip(c.store);
    await c.store.reset(KEY);
    assertEquals(words(await take(changes, 4)), [
      "closed>open force",
      "open>closed expiry",
      "closed>open trip",
      "open>closed reset",
    ]);
    await changes.return?.();
  });

  configured("watch() shows rounds of probes where they are asked for", BREAKER, async (c) => {
    const [plain, rounds] = [c.store.watch(), c.store.watch({ rounds: true })];
    await tripUntilDue(c);
    await probe(c.store);
    c.clock.at += 2 * LEASE;
    await probe(c.store);
    await report(c.store, "success");
    const shown = ["closed>open trip", "open>half-open probe", "half-open>closed probe"];
    assertEquals(words(await take(plain, 3)), shown);
    assertEquals(words(await take(rounds, 4)), shown.toSpliced(2, 0, "half-open>half-open round"));
    await Promise.all([plain.return?.(), rounds.return?.()]);
  });

  test("watch() goes on from a cursor of watch() or history()", async (store) => {
    await moveOften(store, 4);
    const history = await store.history();
    const changes = store.watch({ after: history[1]!.cursor });
    await moveOften(store, 1);
    const taken = await take(changes, 3);
    assertEquals(taken.map(({ version }) => version), [3, 4, 5]);
    await changes.return?.();
    await moveOften(store, 1);
    for (const [place, { cursor }] of taken.entries()) {
      const more = store.watch({ after: cursor });
      const versions = (await take(more, 3 - place)).map(({ version }) => version);
      assertEquals(versions, [4, 5, 6].slice(place));
      await more.return?.();
      const rest = await store.history({ after: cursor });
      assertEquals(rest.map(({ version }) => version), versions);
    }
  });

  test("watch() delivers each of many changes once, and a circuit's in order", async (store) => {
    const changes = store.watch();
    const keys = oneTo(20).map((i) => `circuit ${i}`);
    for (const to of ["open", "half-open", "closed"] as const) {
      await Promise.all(keys.map((key) => store.transition(key, to)));
    }
    const taken = await take(changes, 60);
    for (const key of keys) {
      assertEquals(words(taken.filter((each) => each.key === key)), [
        "closed>open trip",
        "open>half-open probe",
        "half-open>closed probe",
      ]);
    }
    await changes.return?.();
  });

  test("watch() ends with its signal, its loop and its store", async (store) => {
    const controller = new AbortController();
    const bySignal = store.watch({ signal: controller.signal });
    const byLoop = store.watch();
    const byStore = store.watch();
    const next = bySignal.next();
    controller.abort();
    assertEquals((await next).done, true);
    await store.transition(KEY, "open");
    for await (const { key } of byLoop) {
      assertEquals(key, KEY);
      break;
    }
    assertEquals((await byLoop.next()).done, true);
    await take(byStore, 1);
    const last = byStore.next();
    await store.close();
    assertEquals((await last).done, true);
    assertEquals((await store.watch().next()).done, true);
  });
}

/** The same changes as `history` shows them, with the cursors that the watch gave. */
async function ownShape(
  store: ConformanceStore,
  taken: readonly CircuitChange[],
): Promise<CircuitChange[]> {
  const history = await store.history({ limit: 1000 });
  return taken.map(({ version, cursor }) => ({
    ...history.find((each) => each.version === version)!,
    cursor,
  }));
}
