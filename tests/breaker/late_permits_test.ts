/** Permits and fallbacks that come when their caller has gone. */

import { assertEquals, assertRejects } from "@std/assert";
import {
  type BreakerPermit,
  type BreakerStore,
  CircuitBreaker,
  InMemoryCircuitBreakerStore,
} from "../../mod.ts";
import { RULES } from "./stage.ts";

/** A store whose permits a test lets through, with the outcomes that are reported on them. */
function scene() {
  const inner = new InMemoryCircuitBreakerStore({ ...RULES, now: () => clock.at });
  const clock = { at: 1000 };
  const reported: string[] = [];
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const given = Promise.withResolvers<BreakerPermit>();
  const store: BreakerStore = {
    async acquire(key) {
      const permit = await inner.acquire(key);
      asked.resolve();
      await gate.promise;
      const watched: BreakerPermit = {
        ...permit,
        report(outcome) {
          reported.push(outcome);
          return permit.report(outcome);
        },
      };
      given.resolve(watched);
      return watched;
    },
    peek: (key) => inner.peek(key),
  };
  return { inner, clock, store, reported, asked: asked.promise, gate, given: given.promise };
}

/** Resolves when all that follows what has happened so far has been done, too. */
function allSteps(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a probe whose caller has gone is handed back, and the next call has it", async () => {
  const { inner, clock, store, reported, asked, gate, given } = scene();
  for (let i = 0; i < 3; i++) await inner.recordFailure("api");
  clock.at += RULES.resetTimeoutMs;
  const breaker = new CircuitBreaker(store);
  const controller = new AbortController();
  const call = breaker.execute("api", () => "made", { signal: controller.signal });
  await asked;
  assertEquals((await inner.acquire("api")).allowed, false);
  controller.abort(new Error("gone"));
  await assertRejects(() => call, Error, "gone");
  gate.resolve();
  await given;
  await allSteps();
  await breaker.close();
  assertEquals(reported, ["ignored"]);
  assertEquals((await inner.acquire("api")).isProbe, true);
});

Deno.test("nothing is reported on a refusal whose caller has gone", async () => {
  const { inner, store, reported, asked, gate, given } = scene();
  for (let i = 0; i < 3; i++) await inner.recordFailure("api");
  const rejected: string[] = [];
  const breaker = new CircuitBreaker(store, { onReject: ({ key }) => rejected.push(key) });
  const controller = new AbortController();
  const call = breaker.execute("api", () => "made", { signal: controller.signal });
  await asked;
  controller.abort(new Error("gone"));
  await assertRejects(() => call, Error, "gone");
  gate.resolve();
  await given;
  await allSteps();
  await breaker.close();
  assertEquals([reported, rejected], [[], []]);
});

Deno.test("a caller that goes in the moment in which its permit comes makes no call", async () => {
  // The signal aborts in each of the steps between the permit and the call.
  for (let steps = 0; steps < 12; steps++) {
    const inner = new InMemoryCircuitBreakerStore(RULES);
    const controller = new AbortController();
    const store: BreakerStore = {
      async acquire(key) {
        const permit = await inner.acquire(key);
        void (async () => {
          for (let step = 0; step < steps; step++) await undefined;
          controller.abort(new Error("gone"));
        })();
        return permit;
      },
      peek: (key) => inner.peek(key),
    };
    const breaker = new CircuitBreaker(store);
    let calls = 0;
    const call = breaker.execute("api", ({ signal }) => {
      calls++;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    }, { signal: controller.signal });
    await assertRejects(() => call, Error, "gone");
    await breaker.close();
    const { failureCount, successCount } = await inner.peek("api");
    assertEquals([failureCount, successCount], [0, 0], `${steps} steps`);
    if (steps === 0) assertEquals(calls, 0);
  }
});

Deno.test("a caller that goes while its fallback begins gets the reason, and no fallback", async () => {
  const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore(RULES));
  const controller = new AbortController();
  const call = breaker.execute("api", () => Promise.reject(new Error("down")), {
    signal: controller.signal,
    fallback: () => {
      controller.abort(new Error("gone"));
      return "fallback";
    },
  });
  await assertRejects(() => call, Error, "gone");
});
