import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { isStoreTimeoutError, StoreTimeoutError, StoreUnavailableError } from "../../mod.ts";
import { DRIVERS } from "./messages.ts";
import { last } from "./stage.ts";
import { countWaiting, ownTime } from "./waiting.ts";
import { type Instance, openSite, type Site } from "./witness.ts";

const RECOVERY_MS = 2000;
const WINDOW_MS = 50;

/** Locks all rows until the function that it returns is called, which may change them at the end. */
async function holdRows({ sql }: Site, atLast: string = "select 1"): Promise<() => Promise<void>> {
  const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = sql.begin(async (sql) => {
    await sql`select from stoma_circuit_breakers for update`;
    locked.resolve();
    await released.promise;
    await sql.unsafe(atLast);
  });
  // The failure of a test ends the transaction, and must not be hidden by that.
  holding.catch(() => {});
  await Promise.race([locked.promise, holding]);
  return async () => {
    released.resolve();
    await holding;
  };
}

/**
 * How many checks instances send in windows of 50 ms, until the windows hold enough of them. A window
 * in which the process was kept from running counts nothing: timers that were due at different times
 * fire together after it.
 */
async function checksPerWindow(fleet: Instance[], enough: number): Promise<number[]> {
  const sent = () => fleet.reduce((sum, { sent }) => sum + sent.times.length, 0);
  const windows: number[] = [];
  for (let found = 0; found < enough;) {
    const [before, start] = [sent(), performance.now()];
    await last(WINDOW_MS);
    if (performance.now() - start > 1.5 * WINDOW_MS) continue;
    windows.push(sent() - before);
    found += windows.at(-1)!;
  }
  return windows;
}

for (const driver of DRIVERS) {
  Deno.test(`throw on ${driver}: reports once, then at once, and returns by itself`, async () => {
    await using site = await openSite(driver);
    const { store, events, noticed } = site.open();
    await store.recordFailure("api");
    site.proxy.hang();

    const first = await assertRejects(() => store.recordFailure("api"), StoreTimeoutError);
    assertEquals(events.length, 1);
    assertStrictEquals(events[0]!.cause, first);
    assert(events[0]!.isOut);
    const waited = await countWaiting(300, async () => {
      const error = await assertRejects(() => store.recordFailure("api"), StoreUnavailableError);
      assertStrictEquals(error.cause, first);
    });
    assertEquals(waited, 0, "calls in a known outage waited for something");
    for (
      const call of [
        () => store.getState("api"),
        () => store.recordSuccess("api"),
        () => store.transition("api", "open"),
        () => store.reset("api"),
        () => store.peek("api"),
        () => store.peek(["api"]),
        () => store.list(),
        () => store.forceOpen("api"),
        () => store.release("api"),
      ]
    ) await assertRejects(call, StoreUnavailableError);

    const recovered = await ownTime(async () => {
      await site.proxy.resume();
      await noticed(2);
    });
    assert(recovered < RECOVERY_MS, `returned after ${recovered} ms`);
    assertEquals(events[1], { isOut: false });
    const { failureCount } = await store.recordFailure("api");
    // The first one's fate was unknown; the others were never sent.
    assert(failureCount === 2 || failureCount === 3, `${failureCount} failures`);
    assertEquals(events.length, 2);
  });

  Deno.test(`local on ${driver}: goes on from what was known, and leaves the table alone`, async () => {
    await using site = await openSite(driver);
    let now = 1_800_000_000_000;
    const rules = { failureThreshold: 3, resetTimeoutMs: 10_000, now: () => now };
    const { store, events, noticed } = site.open({ ...rules, onOutage: "local" });
    const other = site.open(rules).store;
    await store.transition("broken", "open");
    await store.recordFailure("shaky");
    await store.recordFailure("shaky");
    await store.forceOpen("forced");
    const table = () => site.sql`select * from stoma_circuit_breakers order by key`;
    const before = await table();

    site.proxy.hang();
    assertEquals((await store.getState("broken")).state, "open");
    assert(isStoreTimeoutError(events[0]!.cause), `${events[0]!.cause}`);
    const waited = await countWaiting(300, () => store.recordSuccess("quick"));
    assertEquals(waited, 0, "calls in a known outage waited for something");

    // It trips by itself, counting on from what it knew.
    assertEquals((await store.recordFailure("shaky")).failureCount, 3);
    assertEquals((await store.transition("shaky", "open")).state, "open");
    assertEquals((await store.getState("shaky")).state, "open");
    assertEquals((await store.getState("forced")).state, "open");
    assertEquals((await store.getState("unknown")).state, "closed");
    // Half-open works: one probe, and its result decides.
    now += rules.resetTimeoutMs;
    const states = await Promise.all([1, 2, 3].map(() => store.getState("broken")));
    assertEquals(states.map(({ state }) => state), ["half-open", "open", "open"]);
    assertEquals((await store.transition("broken", "closed")).state, "closed");
    assertEquals((await store.getState("broken")).state, "closed");
    assertEquals((await store.peek(["broken", "shaky"])).map(({ state }) => state), [
      "closed",
      "open",
    ]);
    // What counts for the fleet is not said to one instance alone.
    for (
      const call of [
        () => store.forceClosed("forced"),
        () => store.release("forced"),
        () => store.reset("broken"),
        () => store.list(),
      ]
    ) await assertRejects(call, StoreUnavailableError);

    await site.proxy.resume();
    await noticed(2);
    assertEquals(events.map(({ isOut }) => isOut), [true, false]);
    assertEquals(await table(), before);
    assertEquals((await store.peek("broken")).state, "open");
    assertEquals((await store.recordFailure("shaky")).failureCount, 3);
    assertEquals((await other.peek("shaky")).failureCount, 3);
  });

  Deno.test(`local on ${driver}: returns to what others made of the circuits`, async () => {
    await using site = await openSite(driver);
    const { store, noticed } = site.open({ onOutage: "local" });
    await store.recordFailure("api");
    site.proxy.hang();
    await store.getState("api");
    await store.transition("api", "open");
    await site.sql`update stoma_circuit_breakers set failure_count = 41`;
    await site.proxy.resume();
    await noticed(2);
    const { state, failureCount } = await store.recordFailure("api");
    assertEquals([state, failureCount], ["closed", 42]);
  });

  Deno.test(`getState on ${driver} has one deadline, also where it reads and then claims`, async () => {
    const timeoutMs = 1000;
    await using site = await openSite(driver, 1);
    let now = 1_800_000_000_000;
    const { store } = site.open({ timeoutMs, resetTimeoutMs: 1000, now: () => now });
    // Each statement has been prepared before the network slows down. Then the read takes 800 ms,
    // and the claim as long again: with a deadline of its own, it would end after 1600 ms.
    for (const delayMs of [0, 400]) {
      await store.transition("api", "open");
      now += 1000;
      site.proxy.delay(delayMs);
      const took = await ownTime(() =>
        store.getState("api").catch((error) => assert(isStoreTimeoutError(error), `${error}`))
      );
      assert(took < 1.4 * timeoutMs, `took ${took} ms`);
      site.proxy.delay(0);
    }
  });

  Deno.test(`what hangs since before an outage on ${driver} begins no other`, async () => {
    await using site = await openSite(driver, 6);
    const timeoutMs = 1000;
    const { store, events, noticed } = site.open({ timeoutMs });
    await store.recordFailure("api");
    const release = await holdRows(site);
    // The others are in flight when the first gives up; before they do, a check finds all well.
    const first = assertRejects(() => store.recordFailure("api"), StoreTimeoutError);
    await last(timeoutMs / 2);
    assertEquals(events, [], "the machine stood still for half a second");
    const others = (["closed", "open", "half-open"] as const).map((state) =>
      assertRejects(() => store.transition("api", state), StoreTimeoutError)
    );
    await Promise.all([first, ...others]);
    await noticed(2);
    await release();
    assertEquals(events.map(({ isOut }) => isOut), [true, false]);
    await store.recordFailure("api");
  });

  Deno.test(`a local answer to a call that hung on ${driver} is not taken for the database's`, async () => {
    await using site = await openSite(driver, 6);
    const now = Date.now();
    const rules = { now: () => now, failureThreshold: 3, resetTimeoutMs: 10_000 };
    const timeoutMs = 1000;
    const { store, events, noticed } = site.open({
      ...rules,
      timeoutMs,
      onOutage: "local",
      maxStalenessMs: 60_000,
    });
    await store.recordFailure("api");
    await store.recordFailure("other");
    const release = await holdRows(site, "update stoma_circuit_breakers set failure_count = 40");
    const first = store.recordFailure("other");
    await last(timeoutMs / 2);
    assertEquals(events, [], "the machine stood still for half a second");
    const hanging = store.transition("api", "open");
    await first;
    await noticed(2);
    assertEquals((await hanging).state, "open");
    assertEquals(events.map(({ isOut }) => isOut), [true, false]);
    await release();
    // The server goes on with what hung there.
    const isMoved = () => site.sql`select from stoma_circuit_breakers where state = 'open'`;
    while ((await isMoved()).length === 0) await last(1);
    assertEquals((await store.getState("api")).failureCount, 40);
  });

  for (const network of ["refuse", "hang"] as const) {
    Deno.test(`one check at a time on ${driver}, network: ${network}`, async () => {
      await using site = await openSite(driver);
      const timeoutMs = 200;
      const { store, sent, isOut } = site.open({ timeoutMs, onOutage: "local" });
      await store.getState("api");
      await site.proxy[network]();
      if (network === "refuse") site.proxy.cut();
      while (!isOut()) {
        await store.getState("api");
        await new Promise((resolve) => setTimeout(resolve));
      }
      const { length: first } = sent.times;
      const end = performance.now() + 2500;
      let calls = 0;
      for (; performance.now() < end; calls++) {
        await store.recordFailure(`api ${calls % 10}`);
        if (calls % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      const checks = sent.times.length - first;
      // 10 to 20 ms, and double that each time up to one second at most.
      assert(checks >= 3 && checks <= 12, `${checks} checks for ${calls} calls`);
      for (let check = first + 1; check < sent.times.length; check++) {
        const givenUp = sent.times[check - 1]! + timeoutMs;
        const over = Math.min(sent.answers[check - 1] ?? Infinity, givenUp);
        assert(sent.times[check]! > over - 1, "two checks at a time");
      }
      const { length: accepted } = site.proxy.arrivals;
      assert(accepted <= 4 + checks, `${accepted} connections for ${checks} checks`);
    });
  }

  Deno.test(`a fleet on ${driver} does not ask in step`, async () => {
    const instances = 60;
    await using site = await openSite(driver, 1);
    const fleet = Array.from({ length: instances }, () => site.open({ timeoutMs: 2000 }));
    await Promise.all(fleet.map(({ store }) => store.getState("api")));
    await site.proxy.refuse();
    site.proxy.cut();
    for (const { store, isOut } of fleet) {
      while (!isOut()) await store.getState("api").catch(() => {});
    }
    // By then each instance waits for as long as it ever does between two checks.
    await last(1000);
    const windows = await checksPerWindow(fleet, 2 * instances);
    const most = Math.max(...windows);
    assert(most <= instances / 4, `${most} checks within ${WINDOW_MS} ms, of ${windows}`);
    const recovered = await ownTime(async () => {
      await site.proxy.resume();
      await Promise.all(fleet.map(({ noticed }) => noticed(2)));
    });
    assert(recovered < RECOVERY_MS, `the last one returned after ${recovered} ms`);
  });

  for (const end of ["destroy", "close"] as const) {
    Deno.test(`${end} on ${driver} during an outage ends the checks, and not the calls`, async () => {
      await using site = await openSite(driver);
      const { store, sent, events, noticed } = site.open({ onOutage: "local" });
      await store.getState("api");
      site.proxy.hang();
      await store.getState("api");
      await noticed(1);
      await store[end]();
      const { length } = sent.times;
      await last(1500);
      assertEquals([sent.times.length, events.length], [length, 1]);
      await site.proxy.resume();
      assertEquals((await store.recordFailure("api")).failureCount, 1);
      assertEquals(events.length, 1);
    });
  }
}
