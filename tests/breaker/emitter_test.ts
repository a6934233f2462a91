import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import { CircuitBreaker, type CircuitBreakerEventType } from "../../mod.ts";
import { until } from "../support/until.ts";
import { down, fail, keepingAlive, memoryBreaker, memoryStore } from "./stage.ts";

/** Events that were made while an action ran. */
async function eventsMade(action: () => Promise<unknown>): Promise<number> {
  const { Event: Native } = globalThis;
  let made = 0;
  const { dispatchEvent } = EventTarget.prototype;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (event instanceof Native && this instanceof CircuitBreaker) made++;
    return dispatchEvent.call(this, event);
  };
  try {
    await action();
  } finally {
    EventTarget.prototype.dispatchEvent = dispatchEvent;
  }
  return made;
}

Deno.test("listeners get events of the runtime, with details", async () => {
  using _ = keepingAlive();
  const { store, clock } = memoryStore();
  const breaker = new CircuitBreaker(store, { callTimeoutMs: 20 });
  assert(breaker instanceof EventTarget);
  const seen: unknown[] = [];
  const types = [
    ...["open", "half-open", "close", "reject", "success", "failure", "ignored"],
    ...["timeout", "fallback", "error"],
  ] as CircuitBreakerEventType[];
  for (const type of types) {
    breaker.addEventListener(type, (event) => {
      assert(event instanceof Event && event.target === breaker && event.type === type);
      seen.push([event.type, event.detail.key]);
    });
  }
  breaker.addEventListener("failure", ({ detail: { end, durationMs, isProbe } }) => {
    assert(end.threw && end.error instanceof Error && durationMs >= 0 && !isProbe);
  });
  await fail(breaker, "api", 2);
  await breaker.execute("api", () => new Promise(() => {})).catch(() => {});
  await breaker.execute("api", () => 1, { fallback: () => 2 });
  clock.at += 10_000;
  await breaker.execute("api", () => 1);
  const [ended] = await Promise.all([
    once(breaker as unknown as EventTarget, "success"),
    breaker.execute("api", () => 1),
  ]);
  assertEquals((ended as { type: string }[])[0]!.type, "success");
  assertEquals(seen.map((each) => (each as string[])[0]), [
    ...["failure", "failure", "timeout", "failure", "open", "reject", "fallback"],
    ...["half-open", "success", "close", "success"],
  ]);
});

Deno.test("a listener that throws on an event that a user dispatches harms nothing", () => {
  const errors: string[] = [];
  const { breaker } = memoryBreaker({
    onError: ({ key, error }) => errors.push(`${key}: ${error}`),
  });
  breaker.addEventListener("open", ({ detail }) => {
    throw new Error(`of ${detail?.key}`);
  });
  const target = breaker as unknown as EventTarget;
  assert(target.dispatchEvent(new Event("open")));
  assert(target.dispatchEvent(new CustomEvent("open", { detail: { key: "api" } })));
  assertEquals(errors, [": Error: of undefined", "api: Error: of api"]);
});

Deno.test("null stands for no options of a listener, as for every EventTarget", async () => {
  const { breaker } = memoryBreaker();
  let heard = 0;
  breaker.addEventListener("success", () => heard++, null as unknown as undefined);
  await breaker.execute("api", () => 1);
  assertEquals(heard, 1);
});

Deno.test("listeners are added and removed as with every EventTarget", async () => {
  const { breaker } = memoryBreaker();
  const calls: string[] = [];
  const listener = () => calls.push("function");
  const object = { handleEvent: () => calls.push("object") };
  const controller = new AbortController();
  breaker.addEventListener("success", listener);
  breaker.addEventListener("success", listener);
  breaker.addEventListener("success", object, false);
  breaker.addEventListener("success", () => calls.push("once"), { once: true });
  breaker.addEventListener("success", () => calls.push("signal"), { signal: controller.signal });
  breaker.addEventListener("success", () => calls.push("never"), { signal: AbortSignal.abort() });
  breaker.addEventListener("success", null);
  await breaker.execute("api", () => 1);
  assertEquals(calls, ["function", "object", "once", "signal"]);
  controller.abort();
  breaker.removeEventListener("success", object);
  breaker.removeEventListener("success", object);
  breaker.removeEventListener("success", null);
  await breaker.execute("api", () => 1);
  assertEquals(calls.slice(4), ["function"]);
  breaker.removeEventListener("success", listener);
  await breaker.execute("api", () => 1);
  assertEquals(calls.length, 5);
});

Deno.test("no event is made where there is no listener, also after the last listener has gone", async () => {
  const { store, clock } = memoryStore();
  const breaker = new CircuitBreaker(store);
  const all = async () => {
    await fail(breaker, "api", 3);
    await breaker.execute("api", () => 1).catch(() => {});
    clock.at += 10_000;
    await breaker.execute("api", () => 1);
  };
  assertEquals(await eventsMade(all), 0);
  breaker.addEventListener("success", () => {}, { once: true });
  assertEquals(await eventsMade(all), 1);
  const controller = new AbortController();
  breaker.addEventListener("failure", () => {}, { signal: controller.signal });
  assertEquals(await eventsMade(all), 3);
  controller.abort();
  assertEquals(await eventsMade(all), 0);
});

Deno.test("what listeners and callbacks throw or reject with harms nothing, and is reported", async () => {
  const errors: unknown[] = [];
  const { breaker } = memoryBreaker({
    onSuccess: () => {
      throw "callback";
    },
    onFailure: () => Promise.reject("async callback"),
    onError: ({ key, error }) => {
      errors.push([key, error]);
      throw new Error("of the error's own");
    },
  });
  breaker.addEventListener("success", () => {
    throw "listener";
  });
  breaker.addEventListener("success", () => Promise.reject("async listener"));
  breaker.addEventListener("error", () => Promise.reject(new Error("of the error's own")));
  assertEquals(await breaker.execute("api", () => 1), 1);
  await breaker.execute("api", down).catch(() => {});
  await until(() => errors.length === 4);
  assertEquals(errors.map((each) => (each as string[])[1]).toSorted(), [
    ...["async callback", "async listener", "callback", "listener"],
  ]);
  assert(errors.every((each) => (each as string[])[0] === "api"));
});

Deno.test("a listener may call the breaker, and change its listeners", async () => {
  const { breaker } = memoryBreaker();
  const nested: Promise<unknown>[] = [];
  const listener = () => {
    breaker.removeEventListener("failure", listener);
    nested.push(breaker.execute("other", () => "nested"));
  };
  breaker.addEventListener("failure", listener);
  await fail(breaker, "api", 2);
  assertEquals(await Promise.all(nested), ["nested"]);
});

Deno.test("options are read once", async () => {
  const { store } = memoryStore();
  const calls: string[] = [];
  const options = { onSuccess: () => calls.push("first") };
  const breaker = new CircuitBreaker(store, options);
  options.onSuccess = () => calls.push("second");
  assertStrictEquals(await breaker.execute("api", () => calls), calls);
  assertEquals(calls, ["first"]);
});

Deno.test("an unregistered type is no event of the breaker's", async () => {
  const { breaker } = memoryBreaker();
  let calls = 0;
  breaker.addEventListener("sucess" as never, () => calls++);
  await breaker.execute("api", () => 1);
  assertEquals(calls, 0);
});
