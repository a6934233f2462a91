import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { isStoreTimeoutError, StoreTimeoutError, StoreUnavailableError } from "../../mod.ts";
import { DRIVERS } from "./messages.ts";
import { Noise } from "./noise.ts";
import { last } from "./stage.ts";
import { openSite, type Site } from "./witness.ts";

const FAST_MS = 5;
const RECOVERY_MS = 2000;

/** How long calls one after the other take, without the machine's noise, the slowest last. */
async function durations(calls: number, call: () => Promise<unknown>): Promise<number[]> {
  using noise = new Noise();
  const found: number[] = [];
  for (let turn = 0; turn < calls; turn++) {
    const [before, start] = [noise.total(), performance.now()];
    await call();
    found.push(performance.now() - start - (noise.total() - before));
    // The event loop goes round: what the store does in the background gets its turn.
    if (turn % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  return found.toSorted((a, b) => a - b);
}

/** Locks all rows until the function that it returns is called, which may change them at the end. */
async function holdRows({ sql }: Site, atLast: string = "select 1"): Promise<() => Promise<void>> {
  const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = sql.begin(async (sql) => {
    await sql`select from stoma_circuit_breakers for update`;
    locked.resolve();
    await released.promise;
    await sql.unsafe(atLast);
  });
  await locked.promise;
  return async () => {
    released.resolve();
    await holding;
  };
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
    const took = await durations(300, async () => {
      const error = await assertRejects(() => store.recordFailure("api"), StoreUnavailableError);
      assertStrictEquals(error.cause, first);
    });
    assert(took.at(-1)! < FAST_MS, `calls in a known outage took up to ${took.at(-1)} ms`);
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

    const start = performance.now();
    await site.proxy.resume();
    await noticed(2);
    const recovered = performance.now() - start;
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
    const took = await durations(300, () => store.recordSuccess("quick"));
    assert(took[150]! < 0.5, `half of the calls took more than ${took[150]} ms`);
    assert(took.at(-1)! < FAST_MS, `calls took up to ${took.at(-1)} ms`);

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
    const timeoutMs = 400;
    await using site = await openSite(driver, 1);
    let now = 1_800_000_000_000;
    const { store } = site.open({ timeoutMs, resetTimeoutMs: 1000, now: () => now });
    // Each statement has been prepared before the network slows down.
    for (const delayMs of [0, 150]) {
      await store.transition("api", "open");
      now += 1000;
      site.proxy.delay(delayMs);
      using noise = new Noise();
      const start = performance.now();
      await store.getState("api").catch((error) => assert(isStoreTimeoutError(error), `${error}`));
      const took = performance.now() - start - noise.total();
      assert(took < timeoutMs + 100, `took ${took} ms`);
      site.proxy.delay(0);
    }
  });

  Deno.test(`what hangs since before an outage on ${driver} begins no other`, async () => {
    await using site = await openSite(driver, 6);
    const { store, events, noticed } = site.open();
    await store.recordFailure("api");
    const release = await holdRows(site);
    // The others are on their way when the first gives up; between them a check finds all well.
    const calls = [
      () => store.recordFailure("api"),
      () => store.transition("api", "closed"),
      () => store.transition("api", "open"),
      () => store.transition("api", "half-open"),
    ];
    await Promise.all(calls.map(async (call, index) => {
      await last(index * 50);
      await assertRejects(call);
    }));
    await noticed(2);
    await release();
    assertEquals(events.map(({ isOut }) => isOut), [true, false]);
    await store.recordFailure("api");
  });

  Deno.test(`what a call that hung on ${driver} was told locally is not taken for the database's`, async () => {
    await using site = await openSite(driver, 6);
    const now = Date.now();
    const rules = { now: () => now, failureThreshold: 3, resetTimeoutMs: 10_000 };
    const { store, events, noticed } = site.open({
      ...rules,
      onOutage: "local",
      maxStalenessMs: 60_000,
    });
    await store.recordFailure("api");
    await store.recordFailure("other");
    const release = await holdRows(site, "update stoma_circuit_breakers set failure_count = 40");
    const first = store.recordFailure("other");
    await last(100);
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
      const { store, sent, isOut } = site.open({ onOutage: "local" });
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
        const over = Math.min(sent.answers[check - 1] ?? Infinity, sent.times[check - 1]! + 200);
        assert(sent.times[check]! > over - 1, "two checks at a time");
      }
      const { length: arrived } = site.proxy.arrivals;
      assert(arrived <= 4 + checks, `${arrived} connections for ${checks} checks`);
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
    const start = performance.now();
    await last(3000);
    const checks = fleet.flatMap(({ sent }) => sent.times.filter((time) => time > start + 1000));
    const perWindow = new Map<number, number>();
    for (const time of checks) {
      const window = Math.floor(time / 50);
      perWindow.set(window, (perWindow.get(window) ?? 0) + 1);
    }
    const most = Math.max(...perWindow.values());
    assert(checks.length >= instances, `${checks.length} checks`);
    assert(most <= instances / 4, `${most} of ${checks.length} checks within 50 ms`);
    await site.proxy.resume();
    const back = performance.now();
    await Promise.all(fleet.map(({ noticed }) => noticed(2)));
    const recovered = performance.now() - back;
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
