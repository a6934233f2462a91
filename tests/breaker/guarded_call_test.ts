import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CallTimeoutError, isCallTimeoutError } from "../../mod.ts";
import { until } from "../support/until.ts";
import { down, fail, keepingAlive, memoryBreaker, pending } from "./stage.ts";

/** A signal that counts its listeners. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { controller, signal, listeners: () => listeners };
}

Deno.test("a call that takes too long is rejected, fails, and its function's signal aborts", async () => {
  using _ = keepingAlive();
  const { breaker, store, log } = memoryBreaker({ callTimeoutMs: 20 });
  let signal: AbortSignal | undefined;
  const error = await assertRejects(
    () =>
      breaker.execute("api", (context) => {
        signal = context.signal;
        return new Promise(() => {});
      }),
    CallTimeoutError,
  );
  assertEquals([error.timeoutMs, error.message], [20, "Cannot finish call: no result in 20 ms"]);
  assertStrictEquals(signal?.reason, error);
  assertEquals(log, ["timeout api", "failure api"]);
  assertEquals((await store.peek("api")).failureCount, 1);
});

Deno.test("a function that ignores its signal, and ends late, changes nothing any more", async () => {
  using _ = keepingAlive();
  const { breaker, store, log } = memoryBreaker({ callTimeoutMs: 20 });
  const [late, lost] = [pending(), pending()];
  let seen: AbortSignal | undefined;
  await assertRejects(() => breaker.execute("api", late.call), CallTimeoutError);
  const looking = breaker.execute("api", async (context) => {
    await lost.call().catch(() => {});
    seen = context.signal; // looked at for the first time when it is over
    throw new Error("late");
  });
  await assertRejects(() => looking, CallTimeoutError);
  late.resolve("late");
  lost.reject(new Error("late"));
  await until(() => seen !== undefined);
  assert(seen!.aborted && isCallTimeoutError(seen!.reason));
  const { failureCount, successCount } = await store.peek("api");
  assertEquals([failureCount, successCount], [2, 0]);
  assertEquals(log, ["timeout api", "failure api", "timeout api", "failure api"]);
});

Deno.test("a promise whose properties throw fails its call once, and leaves no time limit behind", async () => {
  using _ = keepingAlive();
  const { breaker, log } = memoryBreaker({ callTimeoutMs: 20 });
  const hostile = Promise.resolve();
  Object.defineProperty(hostile, "constructor", {
    get: () => {
      throw new Error("hostile");
    },
  });
  await assertRejects(() => breaker.execute("api", () => hostile), Error, "hostile");
  assertEquals(log, ["failure api"]);
  await assertRejects(() => breaker.execute("later", pending().call), CallTimeoutError);
  assertEquals(log, ["failure api", "timeout later", "failure later"]);
});

Deno.test("calls of one moment end together, each by its own time, and those that ended are left out", async () => {
  using _ = keepingAlive();
  const { breaker, log } = memoryBreaker({ callTimeoutMs: 40 }, { failureThreshold: 1000 });
  const quick = Array.from({ length: 50 }, (_, call) => breaker.execute("quick", () => call));
  assertEquals((await Promise.all(quick)).length, 50);
  const slow = Array.from(
    { length: 50 },
    () => breaker.execute("slow", () => new Promise(() => {})),
  );
  const settled = await Promise.allSettled(slow);
  assert(settled.every((end) => end.status === "rejected" && isCallTimeoutError(end.reason)));
  assertEquals(log.filter((line) => line === "timeout slow").length, 50);
  assertEquals(log.filter((line) => line === "timeout quick").length, 0);
});

Deno.test("a result that waits to be read is taken, although the event loop was blocked", async () => {
  using _ = keepingAlive();
  const { breaker } = memoryBreaker({ callTimeoutMs: 30 });
  const ended = breaker.execute(
    "api",
    () => new Promise((resolve) => setTimeout(resolve, 31, "late")),
  );
  const from = performance.now();
  while (performance.now() - from < 60);
  assertEquals(await ended, "late");
});

Deno.test("a signal that has aborted calls nothing and asks for nothing", async () => {
  const { breaker, log, store } = memoryBreaker({ fallback: () => "fallback" });
  await fail(breaker, "open", 3);
  log.length = 0;
  for (const reason of [new Error("gone"), "gone", new DOMException("gone", "AbortError"), 0]) {
    let calls = 0;
    for (const key of ["api", "open"]) {
      const signal = AbortSignal.abort(reason);
      const thrown = await breaker.execute(key, () => calls++, { signal }).catch((error) => error);
      assertStrictEquals(thrown, reason);
    }
    assertEquals(calls, 0);
  }
  assertEquals(log, []);
  assertEquals(await store.peek(["api"]).then(([api]) => api!.successCount), 0);
});

Deno.test("an abort during a call rejects at once, and counts for nothing", async () => {
  const { breaker, log, store } = memoryBreaker({ fallback: () => "fallback" });
  for (const reason of [new Error("gone"), "gone", new DOMException("gone", "AbortError")]) {
    const { controller, signal, listeners } = countedSignal();
    const never = pending();
    let seen: AbortSignal | undefined;
    const call = breaker.execute("api", (context) => {
      seen = context.signal;
      return never.call();
    }, { signal });
    await never.called;
    controller.abort(reason);
    assertStrictEquals(await call.catch((error) => error), reason);
    assertStrictEquals(seen!.reason, reason);
    assertEquals(listeners(), 0);
    never.reject(new Error("late"));
  }
  assertEquals(log, ["ignored api", "ignored api", "ignored api"]);
  assertEquals((await store.peek("api")).failureCount, 0);
});

Deno.test("a function that throws because of the abort does not fail, which of them hears of it first does not matter", async () => {
  for (const callTimeoutMs of [undefined, 60_000]) {
    const { breaker, log } = memoryBreaker({ callTimeoutMs });
    const controller = new AbortController();
    const called = Promise.withResolvers<void>();
    const call = breaker.execute("api", ({ signal }) => {
      called.resolve();
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new Error("x")))
      );
    }, { signal: controller.signal });
    await called.promise;
    controller.abort("gone");
    assertEquals(await call.catch((error) => error), "gone");
    const sync = breaker.execute("api", () => {
      inner.abort("inside");
      throw new Error("y");
    }, { signal: (inner = new AbortController()).signal });
    assertEquals(await sync.catch((error) => error), "inside");
    assertEquals(log, ["ignored api", "ignored api"]);
  }
  // deno-lint-ignore no-var
  var inner: AbortController;
});

Deno.test("an abort after a call has ended changes nothing, and no listener is left", async () => {
  const { breaker, log } = memoryBreaker();
  const { controller, signal, listeners } = countedSignal();
  for (let call = 0; call < 20; call++) await breaker.execute("api", () => call, { signal });
  await breaker.execute("api", down, { signal }).catch(() => {});
  assertEquals(listeners(), 0);
  controller.abort();
  assertEquals(log.filter((line) => line === "ignored api"), []);
});

Deno.test("a probe whose caller aborts gives its slot back at once", async () => {
  for (const callTimeoutMs of [undefined, 60_000]) {
    const { breaker, clock } = memoryBreaker({ callTimeoutMs });
    await fail(breaker, "api", 3);
    clock.at += 10_000;
    const controller = new AbortController();
    const never = pending();
    const call = breaker.execute("api", never.call, { signal: controller.signal });
    await never.called;
    controller.abort("gone");
    assertEquals(await call.catch((error) => error), "gone");
    assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
  }
});

Deno.test("an abort while the store is asked rejects at once, and gives the permit back", async () => {
  const { breaker, store, clock, log } = memoryBreaker();
  await fail(breaker, "api", 3);
  clock.at += 10_000;
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const acquire = store.acquire.bind(store);
  const slow = memoryBreaker();
  const breaking = slow.breaker;
  // A subclass of the tests: `acquire` waits.
  slow.store.acquire = async (key) => {
    asked.resolve();
    await answered.promise;
    return await acquire(key);
  };
  const controller = new AbortController();
  let calls = 0;
  const call = breaking.execute("api", () => calls++, { signal: controller.signal });
  await asked.promise;
  controller.abort("gone");
  assertEquals(await call.catch((error) => error), "gone");
  answered.resolve();
  // The late permit was the probe of this round: another call gets it only once it is given back.
  await until(async () => await breaker.execute("api", () => "probe").catch(() => "") === "probe");
  assertEquals(calls, 0);
  assert(log.includes("half-open api"));
});

Deno.test("a signal is made only where it is looked at, and is one per call", async () => {
  const { AbortController: Native } = globalThis;
  let made = 0;
  globalThis.AbortController = class extends Native {
    constructor() {
      super();
      made++;
    }
  };
  try {
    for (const callTimeoutMs of [undefined, 60_000]) {
      const { breaker, clock } = memoryBreaker({ callTimeoutMs });
      await breaker.execute("api", ({ key, isProbe }) => [key, isProbe]);
      await fail(breaker, "api", 3);
      clock.at += 10_000;
      assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
      assertEquals(made, 0);
      await breaker.execute("api", (context) => assertStrictEquals(context.signal, context.signal));
      assertEquals(made, 1);
      made = 0;
    }
  } finally {
    globalThis.AbortController = Native;
  }
});

Deno.test("without a time limit, the function gets its caller's own signal", async () => {
  const { breaker } = memoryBreaker();
  const { signal } = new AbortController();
  await breaker.execute("api", (context) => assertStrictEquals(context.signal, signal), { signal });
});
