/** What a breaker leaves behind: no timer that keeps a process alive, and no memory of closed circuits. */

import { assert, assertEquals } from "@std/assert";
import { CircuitBreaker } from "../../mod.ts";
import { Emitter } from "../../src/breaker/emitter.ts";
import { Executor } from "../../src/breaker/executor.ts";
import { heapInUse } from "../support/heap.ts";

const MODULE = JSON.stringify(new URL("../../mod.ts", import.meta.url));

Deno.test("a breaker with calls under way, late ones too, keeps no process alive", async () => {
  const program = `
    import { CircuitBreaker, InMemoryCircuitBreakerStore } from ${MODULE};
    const store = new InMemoryCircuitBreakerStore({ trip: "store", failureThreshold: 1 });
    const breaker = new CircuitBreaker(store, { callTimeoutMs: 600_000 });
    const hasty = new CircuitBreaker(store, { callTimeoutMs: 10 });
    for (let call = 0; call < 10; call++) void breaker.execute("api", () => new Promise(() => {}));
    const alive = setTimeout(() => {}, 600_000);
    const late = await hasty.execute("late", () => new Promise(() => {})).catch((error) => error);
    clearTimeout(alive);
    await hasty.execute("late", () => 1).catch((error) => error);
    console.log(late.name);`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "piped",
    stderr: "inherit",
    // What keeps a process alive does so for good: a slow machine needs no tighter bound.
    signal: AbortSignal.timeout(60_000),
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "CallTimeoutError\n"]);
});

Deno.test("V8 keeps what it compiled for calls with a time limit when it collects garbage between them", async () => {
  const program = `
    import { CircuitBreaker, InMemoryCircuitBreakerStore } from ${MODULE};
    const store = new InMemoryCircuitBreakerStore({ trip: "store", failureThreshold: 1 });
    const breaker = new CircuitBreaker(store, { callTimeoutMs: 600_000 });
    class Unkept { first = undefined; second = undefined; }
    const makeUnkept = () => globalThis.made = new Unkept();
    for (let round = 0; round < 5; round++) {
      for (let call = 0; call < 20_000; call++) {
        await breaker.execute("api", () => call);
        makeUnkept();
      }
      globalThis.made = undefined;
      await new Promise((resolve) => setTimeout(resolve, 0));
      gc();
    }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--v8-flags=--expose-gc,--trace-deopt", program],
    stderr: "inherit",
  }).output();
  const forgotten = [
    ...new TextDecoder().decode(stdout).matchAll(/SharedFunctionInfo (.+?)>\).* weak objects/g),
  ].map(([, name]) => name!);
  assert(forgotten.includes("makeUnkept"), "V8 does not report what it forgets");
  const ours = ["#callInTime", "GuardedCall", "run", "add", "remove", "#end"];
  assertEquals(forgotten.filter((name) => ours.includes(name)), []);
});

/** A store that answers each call alike, and remembers nothing. */
function permissive(allowed: boolean) {
  const permit = {
    allowed,
    state: allowed ? "closed" : "open",
    isProbe: false,
    retryAfterMs: 1,
    report: () => Promise.resolve(),
  } as const;
  return {
    acquire: () => Promise.resolve(permit),
    peek: () => Promise.reject(new Error("not asked")),
  };
}

Deno.test("a breaker remembers no closed circuit, and at most 10,000 others, of 100,000 keys", async () => {
  const count = async (allowed: boolean) => {
    const executor = new Executor(
      permissive(allowed),
      {},
      new Emitter(new EventTarget(), { onOpen: () => {} }),
    );
    let most = 0;
    for (let key = 0; key < 100_000; key++) {
      await executor.execute(`key ${key}`, () => key).catch(() => {});
      most = Math.max(most, executor.remembered);
    }
    await executor.end();
    return most;
  };
  assertEquals(await count(true), 0);
  assertEquals(await count(false), 10_000);
});

Deno.test("calls leave nothing on the heap, whatever they end with", async () => {
  const breaker = new CircuitBreaker(permissive(true), { callTimeoutMs: 600_000 });
  const { signal } = new AbortController();
  const some = async (calls: number) => {
    for (let call = 0; call < calls; call++) {
      await breaker.execute(`key ${call}`, ({ signal }) => signal.aborted, { signal });
      await breaker.execute(`key ${call}`, () => Promise.reject(new Error("down"))).catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve));
    return heapInUse();
  };
  await some(5000);
  const before = await some(5000);
  const after = await some(50_000);
  // A hundred bytes of each of 100,000 calls would be 10 MB.
  assert(after - before < 3e6, `${after - before} bytes`);
});
