/** The breaker inside other libraries' retries, and around undici's fetch, on a real upstream. */

import { assert, assertEquals } from "@std/assert";
import { DelegateBackoff, handleWhen, type IPolicy, noop, retry, wrap } from "cockatiel";
import pRetry from "p-retry";
import { Agent, fetch as undiciFetch } from "undici";
import { CircuitBreaker, InMemoryCircuitBreakerStore, isCircuitOpenError } from "../../mod.ts";
import { FaultyUpstream } from "../support/faulty_upstream.ts";

const RULES = { failureThreshold: 2, failureWindowMs: 60_000 };

function breakerWith(resetTimeoutMs: number, callTimeoutMs?: number): CircuitBreaker {
  return new CircuitBreaker(new InMemoryCircuitBreakerStore({ ...RULES, resetTimeoutMs }), {
    record: "await",
    callTimeoutMs,
  });
}

/** Rejects for a 5xx, which a retry then tries again. */
async function load(fetch: typeof globalThis.fetch, url: string): Promise<string> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`status ${response.status}`);
  return text;
}

Deno.test("p-retry gives up at an open circuit where shouldRetry says so", async () => {
  await using upstream = await FaultyUpstream.start();
  upstream.mode = "fails";
  const guarded = breakerWith(60_000).wrapFetch();
  const error = await pRetry(() => load(guarded, upstream.url), {
    retries: 5,
    minTimeout: 0,
    shouldRetry: ({ error }) => !isCircuitOpenError(error),
  }).catch((error) => error);
  assert(isCircuitOpenError(error), String(error));
  assertEquals(upstream.received.length, 2);
});

/** A breaker as a step of Cockatiel's `wrap`. */
function stepOf(breaker: CircuitBreaker, key: string): IPolicy {
  return {
    ...noop,
    execute: (fn, signal) =>
      breaker.execute(key, (call) => fn({ signal: call.signal }), { signal }),
  };
}

Deno.test("Cockatiel's retry waits as long as the circuit says, and meets no refusal then", async () => {
  await using upstream = await FaultyUpstream.start();
  upstream.mode = "fails";
  const breaker = breakerWith(100);
  const errors: unknown[] = [];
  const retrying = retry(handleWhen(() => true), {
    maxAttempts: 5,
    backoff: new DelegateBackoff(({ result }) => {
      if (!("error" in result)) return 1;
      errors.push(result.error);
      if (!isCircuitOpenError(result.error)) return 1;
      upstream.mode = "works";
      return result.error.retryAfterMs;
    }),
  });
  const policy = wrap(retrying, stepOf(breaker, "up"));
  assertEquals(await policy.execute(() => load(fetch, upstream.url)), "{}");
  assertEquals(errors.map(isCircuitOpenError), [false, false, true]);
  assertEquals(upstream.received.length, 3);
});

Deno.test("Cockatiel's wrap hands the breaker's signal on, and the caller's to the breaker", async () => {
  await using upstream = await FaultyUpstream.start();
  upstream.mode = "hangs";
  const breaker = breakerWith(60_000, 50);
  const policy = wrap(retry(handleWhen(() => false), { maxAttempts: 1 }), stepOf(breaker, "up"));
  const asking = policy.execute(({ signal }) => fetch(upstream.url, { signal }));
  const late = await asking.catch((error) => error);
  assertEquals(late.name, "CallTimeoutError");
  const controller = new AbortController();
  const reason = new Error("enough");
  const given = policy.execute(({ signal }) => {
    controller.abort(reason);
    return fetch(upstream.url, { signal });
  }, controller.signal);
  assertEquals(await given.catch((error) => error), reason);
  assertEquals((await breaker.snapshot("up")).failureCount, 1);
});

Deno.test("undici's fetch takes its Agent through the breaker, also with a time limit", async () => {
  await using upstream = await FaultyUpstream.start();
  for (const callTimeoutMs of [undefined, 10_000]) {
    const dispatcher = new Agent({ connections: 1 });
    let connects = 0;
    dispatcher.on("connect", () => connects++);
    const guarded = breakerWith(60_000, callTimeoutMs).wrapFetch(undiciFetch);
    const response = await guarded(upstream.url, { dispatcher });
    assertEquals([response.status, await response.text(), connects], [200, "{}", 1]);
    await dispatcher.close();
  }
});
