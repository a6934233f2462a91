/** Calls that take no permit come to the same as calls that do. */

import { assert, assertEquals } from "@std/assert";
import {
  type BreakerStore,
  CircuitBreaker,
  InMemoryCircuitBreakerStore,
  type InMemoryCircuitBreakerStoreOptions,
  isCircuitOpenError,
} from "../../mod.ts";
import { quickCallsOf } from "../../src/quick_calls.ts";
import { randomOf } from "../support/random.ts";
import { down, fail, memoryBreaker, memoryStore, RULES } from "./stage.ts";

/** The same store, of which a breaker knows no more than of one that a user has made. */
function asked(store: InMemoryCircuitBreakerStore): BreakerStore {
  return { acquire: (key) => store.acquire(key), peek: (key) => store.peek(key) };
}

const KINDS: Record<string, InMemoryCircuitBreakerStoreOptions> = {
  "a threshold": RULES,
  "a window": { failureThreshold: 3, failureWindowMs: 5000, resetTimeoutMs: 10_000 },
  "a rate": {
    failureRateThreshold: 0.4,
    minimumThroughput: 5,
    windowMs: 20_000,
    resetTimeoutMs: 9000,
  },
  "slow calls": {
    slowCallRateThreshold: 0.5,
    slowCallDurationMs: 9e12,
    minimumThroughput: 5,
    failureRateThreshold: 0.6,
  },
  "a quorum": { ...RULES, trip: undefined, quorum: 2 },
  "observation": { ...RULES, mode: "observe" },
  "more probes": { ...RULES, halfOpenMax: 2, successThreshold: 3 },
};

for (const [kind, options] of Object.entries(KINDS)) {
  Deno.test(`any calls on circuits with ${kind} come to the same with and without permits`, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = randomOf(seed);
      const sides = [true, false].map((isQuick) => {
        const { store, clock } = memoryStore({
          trip: undefined,
          ...options,
          instanceId: "gateway",
        });
        const breaker = new CircuitBreaker(isQuick ? store : asked(store));
        return { store, clock, breaker };
      });
      for (let step = 0; step < 60; step++) {
        const [choice, key] = [next(), next() < 0.7 ? "a" : "b"];
        const waitMs = Math.floor(next() * 6000);
        const answers = await Promise.all(sides.map(async ({ store, clock, breaker }) => {
          let answer: unknown;
          if (choice < 0.3) answer = await breaker.execute(key, () => 1).catch(nameOf);
          else if (choice < 0.7) answer = await breaker.execute(key, down).catch(nameOf);
          else if (choice < 0.9) clock.at += waitMs;
          else if (choice < 0.93) await store.forceOpen(key, { forMs: waitMs + 1 });
          else if (choice < 0.95) await store.forceClosed(key);
          else if (choice < 0.97) await store.release(key);
          else await store.reset(key);
          const changes = await store.history({ limit: 1000 });
          return {
            answer,
            snapshots: await store.peek(["a", "b"]),
            changes: changes.map(({ key, from, to, cause, at }) => [key, from, to, cause, at]),
          };
        }));
        assertEquals(answers[0], answers[1], `seed ${seed}, step ${step}`);
      }
    }
  });
}

function nameOf(error: unknown): unknown {
  return isCircuitOpenError(error)
    ? [error.state, error.retryAfterMs, error.isForced]
    : String(error);
}

Deno.test("a store whose acquire was replaced, by a subclass or later, is asked through it", async () => {
  let asks = 0;
  class Counting extends InMemoryCircuitBreakerStore {
    override acquire(...args: Parameters<InMemoryCircuitBreakerStore["acquire"]>) {
      asks++;
      return super.acquire(...args);
    }
  }
  assertEquals(await new CircuitBreaker(new Counting(RULES)).execute("api", () => 1), 1);
  assertEquals(asks, 1);
  const { breaker, store } = memoryBreaker();
  const acquire = store.acquire.bind(store);
  store.acquire = (key) => (asks++, acquire(key));
  assertEquals(await breaker.execute("api", () => 1), 1);
  assertEquals(asks, 2);
});

Deno.test("a clock that throws is the store's failure, not the call's", async () => {
  const clock = { isBroken: false };
  const store = new InMemoryCircuitBreakerStore({
    ...RULES,
    now() {
      if (clock.isBroken) throw new Error("no time");
      return 1000;
    },
  });
  const errors: string[] = [];
  const breaker = new CircuitBreaker(store, { onError: ({ error }) => errors.push(String(error)) });
  const answer = await breaker.execute("api", () => {
    clock.isBroken = true;
    return "answer";
  });
  await breaker.close();
  assertEquals([answer, errors], ["answer", ["Error: no time"]]);
  assertEquals(await breaker.execute("api", () => "again"), "again");
});

Deno.test("a clock that throws before the call is the store's failure, and the call is made", async () => {
  for (const isForced of [false, true]) {
    const { breaker, store, clock, log } = memoryBreaker();
    if (isForced) await store.forceClosed("api", { forMs: 60_000 });
    else await fail(breaker, "api", 3);
    log.length = 0;
    Object.defineProperty(clock, "at", {
      get() {
        throw new Error("no time");
      },
    });
    assertEquals(await breaker.execute("api", () => "answer"), "answer");
    assertEquals(log, ["error no time", "success api"]);
  }
});

Deno.test("a call with options on a circuit that has closed again reports that", async () => {
  const { store, breaker, log } = memoryBreaker();
  await fail(breaker, "api", 3);
  await store.reset("api");
  log.length = 0;
  assertEquals(await breaker.execute("api", () => 1, { fallback: () => 2 }), 1);
  assertEquals(log, ["close api", "success api"]);
});

Deno.test("a result or an error whose properties throw counts by how the call ended", async () => {
  const trap = (tag: string) =>
    new Proxy({ [Symbol.toStringTag]: tag }, {
      get() {
        throw new Error("no property");
      },
    });
  const result = trap("Response");
  const errors: string[] = [];
  const store = new InMemoryCircuitBreakerStore(RULES);
  const breaker = new CircuitBreaker(store, {
    record: "await",
    onError: ({ error }) => errors.push(String(error)),
  });
  // Returned in an object, because a promise asks a result for its method "then".
  const counts = async () => {
    const { failureCount, successCount } = await store.peek("api");
    return [failureCount, successCount];
  };
  await breaker.execute("api", () => Promise.reject(result)).catch(() => {});
  assertEquals(await counts(), [1, 0]);
  const odd = {
    get [Symbol.toStringTag](): string {
      throw new Error("no tag");
    },
  };
  await breaker.execute("api", () => odd);
  assertEquals((await counts())[1], 1);
  assertEquals(errors.includes("Error: no tag"), true);
});

Deno.test("calls longer than slowCallDurationMs count as slow, however they are admitted", async () => {
  const rules = {
    slowCallRateThreshold: 1,
    slowCallDurationMs: 0.000_001,
    minimumThroughput: 3,
    trip: undefined,
    failureThreshold: undefined,
  } as const;
  for (const toStore of [(store: InMemoryCircuitBreakerStore) => store, asked]) {
    const { store } = memoryStore(rules);
    const breaker = new CircuitBreaker(toStore(store));
    for (let call = 0; call < 3; call++) {
      await breaker.execute("api", () => {
        const from = performance.now();
        while (performance.now() === from);
      });
    }
    assertEquals((await store.peek("api")).state, "open");
  }
});

Deno.test("a circuit that ramps up refuses some calls, and says that it is closed", async () => {
  const { breaker, clock } = memoryBreaker({}, { rampUpMs: 60_000 });
  await fail(breaker, "api", 3);
  clock.at += 10_000;
  assertEquals(await breaker.execute("api", ({ isProbe }) => isProbe), true);
  const errors: unknown[] = [];
  for (let call = 0; call < 200; call++) {
    await breaker.execute("api", () => {}).catch((error) => errors.push(error));
  }
  // A tenth is admitted. No refusal among 200 has a probability below 1e-100.
  assert(errors.length > 0);
  assert(errors.every((error) => isCircuitOpenError(error) && error.state === "closed"));
  clock.at += 60_000;
  for (let call = 0; call < 50; call++) await breaker.execute("api", () => {});
});

Deno.test("keys that the table cannot hold as they are go the long way", async () => {
  const { breaker, store } = memoryBreaker();
  const quick = quickCallsOf(store)!;
  for (const key of ["a".repeat(513), "a\0b", "\ud800", `a~sha256:${"0".repeat(64)}`]) {
    assertEquals(quick.admits(key), false);
    await fail(breaker, key, 3);
    assertEquals(await breaker.isOpen(key), true);
  }
  assertEquals(quick.admits("plain"), true);
});
