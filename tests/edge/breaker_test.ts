/** A breaker at module scope, in a runtime that binds promises, sockets and timers to their request. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { CallTimeoutError, CircuitBreaker, CircuitOpenError } from "../../mod.ts";
import { inBoundRuntime } from "./bound_runtime.ts";
import { EdgeScene, pass } from "./scene.ts";

const down = () => Promise.reject(new Error("down"));

for (const maxStalenessMs of [0, 60_000]) {
  Deno.test(`callTimeoutMs ends calls after requests that have ended or were cancelled, with maxStalenessMs ${maxStalenessMs}`, async () => {
    await using scene = await EdgeScene.open();
    const store = scene.store({ failureThreshold: 2, trip: "store", maxStalenessMs });
    const breaker = await inBoundRuntime(() => new CircuitBreaker(store, { callTimeoutMs: 100 }));
    assertEquals(await scene.run(() => breaker.execute("a", () => 1)), 1);
    const called = Promise.withResolvers<void>();
    const cancelled = scene.requests.begin(() =>
      breaker.execute("a", () => {
        called.resolve();
        return new Promise(() => {});
      })
    );
    await called.promise;
    cancelled.cancel();
    for (let call = 0; call < 2; call++) {
      const hung = () => breaker.execute("a", () => new Promise(() => {})).catch((error) => error);
      const request = scene.requests.begin(hung);
      const error = await Promise.race([request.result, pass(5000)]);
      if (error === undefined) request.cancel();
      await request.ended;
      assertInstanceOf(error, CallTimeoutError);
    }
    const refused = await scene.run(() => breaker.execute("a", () => 1).catch((error) => error));
    assertInstanceOf(refused, CircuitOpenError);
  });
}

Deno.test("close() waits for no record of a request that was cancelled", async () => {
  await using scene = await EdgeScene.open();
  const store = scene.store({ failureThreshold: 2, trip: "store" });
  const breaker = await inBoundRuntime(() => new CircuitBreaker(store));
  await scene.cancelAt(/insert into/, () => breaker.execute("a", down));
  const beganAt = performance.now();
  await scene.run(() => breaker.close());
  assertEquals(performance.now() - beganAt < 1000, true);
});
