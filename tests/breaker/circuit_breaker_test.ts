import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type BreakerPermit,
  type BreakerStore,
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  InMemoryCircuitBreakerStore,
  isCircuitOpenError,
  StoreUnavailableError,
} from "../../mod.ts";
import { down, fail, logged, memoryBreaker, memoryStore, pending, RULES } from "./stage.ts";

/** A store whose answers a test gives. */
function storeOf(acquire: () => Promise<BreakerPermit>): BreakerStore {
  return { acquire, peek: (key) => new InMemoryCircuitBreakerStore().peek(key) };
}

/** A permit that keeps what is reported to it. */
function permitOf(report: (outcome: string) => Promise<unknown>): BreakerPermit {
  return { allowed: true, state: "closed", isProbe: false, retryAfterMs: 0, report };
}

const GONE = new StoreUnavailableError("Cannot use the database: gone");

Deno.test("execute() settles as the function does, whatever it returns or throws", async () => {
  const { breaker } = memoryBreaker();
  const values = [undefined, null, 0, "", Symbol("a"), { then: 1 }, [], new Map(), () => 1];
  for (const value of values) {
    assertStrictEquals(await breaker.execute("a", () => value), value as never);
    assertStrictEquals(await breaker.execute("b", () => Promise.resolve(value)), value as never);
  }
  for (const [index, value] of [...values, new Error("down")].entries()) {
    let [thrown, rejected]: unknown[] = ["nothing", "nothing"];
    await breaker.execute(`thrown ${index}`, () => {
      throw value;
    }).catch((error) => thrown = error);
    await breaker.execute(`rejected ${index}`, () => Promise.reject(value))
      .catch((error) => rejected = error);
    assertStrictEquals(thrown, value);
    assertStrictEquals(rejected, value);
  }
});

Deno.test("execute() refuses calls of an open circuit, and lets a probe close it", async () => {
  const { breaker, clock, log } = memoryBreaker();
  await fail(breaker, "api", 3);
  let calls = 0;
  const error = await assertRejects(() => breaker.execute("api", () => calls++), CircuitOpenError);
  assertEquals([error.key, error.retryAfterMs, error.state], ["api", 10_000, "open"]);
  assertEquals([error.isForced, error.reason, calls], [false, undefined, 0]);

  clock.at += 10_000;
  const probe = pending();
  const probing = breaker.execute("api", (context) => {
    assert(context.isProbe);
    return probe.call();
  });
  await probe.called;
  const other = await assertRejects(() => breaker.execute("api", () => calls++), CircuitOpenError);
  assertEquals([other.state, calls], ["half-open", 0]);
  probe.resolve("back");
  assertEquals(await probing, "back");
  assertEquals(await breaker.execute("api", ({ key, isProbe }) => [key, isProbe]), ["api", false]);
  assertEquals(log, [
    ...["failure api", "failure api", "failure api", "open api", "reject api"],
    ...["half-open api", "reject api", "success api", "close api", "success api"],
  ]);
});

Deno.test("a forced circuit says so, with the operator's reason", async () => {
  const { breaker, store } = memoryBreaker();
  await store.forceOpen("api", { reason: "maintenance", actor: "ops", forMs: 5000 });
  const error = await assertRejects(() => breaker.execute("api", () => 1), CircuitOpenError);
  assertEquals([error.isForced, error.reason, error.retryAfterMs], [true, "maintenance", 5000]);
  await store.forceClosed("api");
  assertEquals(await breaker.execute("api", () => 1), 1);
});

Deno.test("a listed circuit is a key, and its stored key is what contexts and errors name", async () => {
  const { breaker, store } = memoryBreaker();
  await fail(breaker, "a".repeat(600), 3);
  const [listed] = await store.list();
  const error = await assertRejects(() => breaker.execute(listed!, () => 1), CircuitOpenError);
  assertEquals(error.key, listed!.storedKey);
  assertEquals(await breaker.isOpen(listed!), true);
  await store.reset(listed!);
  assertEquals(await breaker.execute(listed!, ({ key }) => key), listed!.storedKey);
});

Deno.test("isOpen() and snapshot() read without taking a probe", async () => {
  const { breaker, clock } = memoryBreaker();
  assertEquals(await breaker.isOpen("api"), false);
  await fail(breaker, "api", 3);
  clock.at += 20_000;
  assertEquals(await breaker.isOpen("api"), true);
  assertEquals((await breaker.snapshot("api")).failureCount, 3);
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
  assertEquals(await breaker.isOpen("api"), false);
});

Deno.test("a broken store lets calls through by default, and is reported", async () => {
  const log: string[] = [];
  const breaker = new CircuitBreaker(storeOf(() => Promise.reject(GONE)), logged(log));
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), false);
  await assertRejects(() => breaker.execute("api", down), Error, "down");
  const error = `error ${GONE.message}`;
  assertEquals(log, [error, "success api", error, "failure api"]);
});

Deno.test("onStoreError reject passes the store's error on, or to the fallback", async () => {
  const log: string[] = [];
  const store = storeOf(() => Promise.reject(GONE));
  const breaker = new CircuitBreaker(store, { onStoreError: "reject", ...logged(log) });
  let calls = 0;
  await assertRejects(() => breaker.execute("api", () => calls++), StoreUnavailableError);
  const fallback = (error: unknown) => error === GONE ? "stale" : "other";
  assertEquals(await breaker.execute("api", () => calls++, { fallback }), "stale");
  assertEquals(calls, 0);
  assertEquals(log, [`error ${GONE.message}`, `error ${GONE.message}`, "fallback api"]);
});

Deno.test("a store that answers anything but a permit, or throws at once, is broken", async () => {
  const report = () => Promise.resolve();
  const getter = {
    report,
    get allowed() {
      throw GONE;
    },
  };
  const unusable = [{ report }, { report, allowed: "yes" }];
  for (const answer of [undefined, null, 1, {}, ...unusable]) {
    const log: string[] = [];
    const breaker = new CircuitBreaker(
      storeOf(() => Promise.resolve(answer as never)),
      logged(log),
    );
    assertEquals(await breaker.execute("api", () => 1), 1);
    assert(log[0]!.startsWith('error Cannot execute call: "store" must'), log[0]);
  }
  const throwing = storeOf(() => {
    throw GONE;
  });
  assertEquals(await new CircuitBreaker(throwing).execute("api", () => 1), 1);
  const hostile = storeOf(() => Promise.resolve(getter as never));
  assertEquals(await new CircuitBreaker(hostile).execute("api", () => 1), 1);
});

Deno.test("a refusal says in whole milliseconds when to ask again, whatever its store says", async () => {
  const waits = [[0, 1], [1.5, 2], [undefined, 1000], [NaN, 1000], [Infinity, 1000], [-1, 1000]];
  for (const [given, expected] of waits) {
    const refused = { ...permitOf(() => Promise.resolve()), allowed: false, retryAfterMs: given! };
    const breaker = new CircuitBreaker(storeOf(() => Promise.resolve(refused)));
    const error = await assertRejects(() => breaker.execute("api", () => 1), CircuitOpenError);
    assertEquals(error.retryAfterMs, expected);
  }
});

Deno.test("a result is returned where recording it fails, rejects or throws", async () => {
  for (const record of ["await", "background"] as const) {
    const log: string[] = [];
    const reports = [
      () => Promise.reject(GONE),
      () => {
        throw GONE;
      },
    ];
    for (const report of reports) {
      const store = storeOf(() => Promise.resolve(permitOf(report)));
      const breaker = new CircuitBreaker(store, { record, ...logged(log) });
      assertEquals(await breaker.execute("api", () => "answer"), "answer");
      await assertRejects(() => breaker.execute("api", down), Error, "down");
      await breaker.close();
    }
    assertEquals(log.filter((line) => line === `error ${GONE.message}`).length, 4);
  }
});

Deno.test("recording delays no result, unless record is await or 1000 are under way", async () => {
  const recorded = Promise.withResolvers<void>();
  let reports = 0;
  const permit = permitOf(() => (reports++, recorded.promise));
  const store = storeOf(() => Promise.resolve(permit));
  const background = new CircuitBreaker(store);
  for (let call = 0; call < 1000; call++) await background.execute("api", () => call);
  assertEquals(reports, 1000);
  const awaiting = new CircuitBreaker(store, { record: "await" });
  const ended: string[] = [];
  const waiting = [
    background.execute("api", () => {}).then(() => ended.push("one too many")),
    awaiting.execute("api", () => {}).then(() => ended.push("await")),
    background.close().then(() => ended.push("close")),
  ];
  // Any number of other calls end meanwhile.
  const other = memoryBreaker().breaker;
  for (let call = 0; call < 100; call++) await other.execute("api", () => call);
  assertEquals(ended, []);
  recorded.resolve();
  await Promise.all(waiting);
  assertEquals(ended.toSorted(), ["await", "close", "one too many"]);
});

Deno.test("close() leaves the store and calls under way alone, and later calls wait for records", async () => {
  const { breaker, store } = memoryBreaker();
  const slow = pending();
  const underway = breaker.execute("api", slow.call);
  await slow.called;
  const closed = breaker.close();
  assertStrictEquals(breaker.close(), closed);
  await closed;
  slow.resolve("late");
  assertEquals(await underway, "late");
  assertEquals((await store.peek("api")).successCount, 1);
  await fail(breaker, "api", 3);
  assert(isCircuitOpenError(await breaker.execute("api", () => 1).catch((error) => error)));
});

Deno.test("close() ends although a store never answers", async () => {
  const store = storeOf(() => Promise.resolve(permitOf(() => new Promise(() => {}))));
  const breaker = new CircuitBreaker(store);
  assertEquals(await breaker.execute("api", () => 1), 1);
  await assertRejects(
    () => breaker.close(),
    Error,
    "Cannot close circuit breaker: no answer in 5000",
  );
});

Deno.test("a fallback stands in for refusals and failures, not for results and other errors", async () => {
  const { breaker, log } = memoryBreaker({
    fallback: (error, { key, signal }) => [key, signal, error instanceof Error],
    classify: (end) => end.threw ? (end.error === "no" ? "success" : "failure") : "failure",
  });
  const signal = new AbortController().signal;
  assertEquals<unknown>(await breaker.execute("api", () => 1), 1);
  assertEquals<unknown>(await breaker.execute("api", down, { signal }), ["api", signal, true]);
  assertEquals<unknown>(await breaker.execute("api", down, { fallback: () => "own" }), "own");
  assertEquals<unknown>(await breaker.execute("api", () => 1), ["api", undefined, true]);
  const no = () => Promise.reject("no");
  assertEquals(await breaker.execute("other", no).catch((error) => error), "no");
  assertEquals(log.filter((line) => line.startsWith("fallback")).length, 3);
});

Deno.test("a call has the options of its own time, also where their object is used again", async () => {
  const acquired = Promise.withResolvers<BreakerPermit>();
  const breaker = new CircuitBreaker(storeOf(() => acquired.promise));
  const other = new AbortController();
  const options: { signal?: AbortSignal; fallback: () => string } = { fallback: () => "own" };
  const calling = breaker.execute("api", down, options);
  Object.assign(options, { signal: other.signal, fallback: () => "of another call" });
  other.abort("another call");
  acquired.resolve(permitOf(() => Promise.resolve()));
  assertEquals(await calling, "own");
});

Deno.test("no fallback begins after its caller has gone while the result was recorded", async () => {
  const reported = Promise.withResolvers<void>();
  const recorded = Promise.withResolvers<void>();
  const permit = permitOf(() => (reported.resolve(), recorded.promise));
  let fallbacks = 0;
  const breaker = new CircuitBreaker(storeOf(() => Promise.resolve(permit)), {
    record: "await",
    fallback: () => fallbacks++,
  });
  const caller = new AbortController();
  const calling = breaker.execute("api", down, { signal: caller.signal }).catch((error) => error);
  await reported.promise;
  caller.abort("gone");
  recorded.resolve();
  assertEquals([await calling, fallbacks], ["gone", 0]);
});

Deno.test("close() waits for the slot that an aborted call hands back, also with record await", async () => {
  const recorded = Promise.withResolvers<void>();
  const ended: string[] = [];
  const permit = permitOf(() => recorded.promise.then(() => ended.push("recorded")));
  const breaker = new CircuitBreaker(storeOf(() => Promise.resolve(permit)), { record: "await" });
  const caller = new AbortController();
  const slow = pending();
  const calling = breaker.execute("api", slow.call, { signal: caller.signal });
  await slow.called;
  caller.abort("gone");
  assertEquals(await calling.catch((error) => error), "gone");
  const closing = breaker.close().then(() => ended.push("closed"));
  recorded.resolve();
  await closing;
  assertEquals(ended, ["recorded", "closed"]);
});

Deno.test("bad arguments always reject, and call nothing", async () => {
  const { breaker } = memoryBreaker({ fallback: () => "fallback" });
  const broken = new CircuitBreaker(storeOf(() => Promise.reject(GONE)));
  let calls = 0;
  const fn = () => calls++;
  const wrong: unknown[][] = [
    [undefined, fn],
    [1, fn],
    [{ storedKey: 1 }, fn],
    ["api"],
    ["api", "fn"],
    ["api", fn, null],
    ["api", fn, { signal: {} }],
    ["api", fn, { fallback: "value" }],
    ["api", fn, { classify: true }],
    ["api", fn, { fallbacks: () => 1 }],
  ];
  for (const subject of [breaker, broken]) {
    for (const args of wrong) {
      const execute = subject.execute as (...args: unknown[]) => Promise<unknown>;
      await assertRejects(() => execute.apply(subject, args), TypeError, "Cannot execute call: ");
    }
  }
  assertEquals(calls, 0);
});

Deno.test("bad options and stores are refused at once", () => {
  const { store } = memoryStore();
  const wrong: [unknown, unknown, typeof TypeError | typeof RangeError][] = [
    [undefined, {}, TypeError],
    [{ acquire() {} }, {}, TypeError],
    [new InMemoryCircuitBreakerStore(), {}, TypeError],
    [new InMemoryCircuitBreakerStore({ failureThreshold: 3 }), {}, TypeError],
    [store, null, TypeError],
    [store, { callTimeoutMs: "1" }, TypeError],
    [store, { callTimeoutMs: 0 }, RangeError],
    [store, { callTimeoutMs: 2 ** 31 }, RangeError],
    [store, { callTimeout: 5, calTimeoutMs: 5 }, TypeError],
    [store, { onStoreError: "throw" }, TypeError],
    [store, { record: true }, TypeError],
    [store, { classify: "5xx" }, TypeError],
    [store, { onOpened: 1, onopen: () => {} }, TypeError],
    [store, { onError: 1 }, TypeError],
  ];
  for (const [given, options, type] of wrong) {
    assertThrows(
      () => new CircuitBreaker(given as BreakerStore, options as CircuitBreakerOptions),
      type as typeof TypeError,
      "Cannot create circuit breaker: ",
    );
  }
  const others = { ...RULES, callTimeoutMs: undefined, failureOn: [500] };
  assert(new CircuitBreaker(store, others as CircuitBreakerOptions));
  assert(new CircuitBreaker(new InMemoryCircuitBreakerStore({ trip: "caller" })));
});
