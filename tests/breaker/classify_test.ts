import { assertEquals } from "@std/assert";
import {
  CallTimeoutError,
  CircuitBreakerStoreError,
  circuitErrorResponse,
  CircuitOpenError,
  defaultClassify,
} from "../../mod.ts";
import { memoryBreaker } from "./stage.ts";

const NO_CALL = { key: "api", isProbe: false };

function returned(result: unknown, isProbe = false) {
  return defaultClassify({ threw: false, result, key: "api", isProbe });
}

function threw(error: unknown) {
  return defaultClassify({ threw: true, error, ...NO_CALL });
}

/** What a library in another realm returns: it calls itself a response, and inherits from nothing here. */
function foreignResponse(status: number) {
  return Object.create({
    get status() {
      return status;
    },
    [Symbol.toStringTag]: "Response",
  });
}

Deno.test("a response counts by its status, as a call and as a probe", () => {
  const expected: [number, string, string][] = [
    [200, "success", "success"],
    [204, "success", "success"],
    [304, "success", "success"],
    [400, "success", "ignored"],
    [401, "success", "ignored"],
    [404, "success", "ignored"],
    [408, "failure", "failure"],
    [429, "failure", "failure"],
    [499, "success", "ignored"],
    [500, "failure", "failure"],
    [503, "failure", "failure"],
    [599, "failure", "failure"],
  ];
  for (const [status, outcome, ofProbe] of expected) {
    const responses = [new Response(null, { status }), foreignResponse(status)];
    for (const response of responses) {
      assertEquals([returned(response), returned(response, true)], [outcome, ofProbe], `${status}`);
    }
  }
  assertEquals(returned(Response.error()), "success");
});

Deno.test("what only looks like a response is a result like others", () => {
  const results = [
    { status: 500 },
    { status: 503, ok: false, headers: new Headers() },
    { [Symbol.toStringTag]: "Response", status: "500" },
    Object.assign(Object.create(null), { status: 500 }),
    [500],
    () => 500,
    "500",
    undefined,
    null,
  ];
  for (const result of results) assertEquals(returned(result), "success");
});

Deno.test("what was thrown fails, but for refusals and broken stores", () => {
  const failures = [
    new Error("a"),
    new CallTimeoutError(5),
    new Response(),
    "a",
    undefined,
    null,
    0,
  ];
  for (const error of failures) assertEquals(threw(error), "failure");
  assertEquals(threw(new CircuitOpenError({ key: "b", retryAfterMs: 1 })), "ignored");
  assertEquals(threw(new CircuitBreakerStoreError("Cannot read circuit: gone")), "ignored");
});

Deno.test("a wrong classify counts as the default, and never costs the result", async () => {
  const wrong: [() => unknown, RegExp][] = [
    [() => "ok", /"classify" must return "success", "failure" or "ignored", received a string/],
    [() => undefined, /received undefined/],
    [() => true, /received true/],
    [() => Promise.reject(new Error("late")), /received an instance of Promise/],
    [
      () => {
        throw new Error("mistake");
      },
      /mistake/,
    ],
  ];
  for (const [classify, message] of wrong) {
    const errors: unknown[] = [];
    const { breaker, store } = memoryBreaker({
      classify: classify as never,
      onError: ({ error }) => errors.push(error),
    });
    const response = new Response(null, { status: 503 });
    assertEquals(await breaker.execute("api", () => response), response);
    assertEquals(await breaker.execute("api", () => 1), 1);
    const { failureCount, successCount } = await store.peek("api");
    assertEquals([failureCount, successCount, errors.length], [1, 1, 2]);
    assertEquals(errors.filter((error) => message.test(String(error))).length, 2, String(errors));
  }
});

Deno.test("a result whose properties throw is returned all the same", async () => {
  const { breaker, log } = memoryBreaker({ onSuccess: undefined });
  const result = new Proxy({}, {
    get(_, name) {
      if (name === "then") return undefined;
      throw new Error("trap");
    },
  });
  assertEquals(await breaker.execute("api", () => result) === result, true);
  assertEquals(log, ["error trap"]);
});

Deno.test("classify of a call goes before that of the breaker, and knows key, probe and end", async () => {
  const { breaker, store, clock } = memoryBreaker({ classify: () => "failure" });
  const ends: unknown[] = [];
  for (let call = 0; call < 3; call++) await breaker.execute("api", () => call);
  clock.at += 10_000;
  const answer = await breaker.execute("api", () => "answer", {
    classify: (end) => {
      ends.push(end);
      return end.threw ? "failure" : end.result.length === 6 ? "success" : "ignored";
    },
  });
  assertEquals(answer, "answer");
  assertEquals(ends, [{ threw: false, result: "answer", isProbe: true, key: "api" }]);
  assertEquals((await store.peek("api")).state, "closed");
});

Deno.test("a Response that stands for an inner refusal is ignored, as the refusal itself", async () => {
  const { breaker, store } = memoryBreaker();
  await store.forceOpen("inner");
  const inner = breaker.wrapFetch(fetch, { key: "inner", onRefused: "respond" });
  for (let call = 0; call < 5; call++) {
    const response = await breaker.execute("outer", () => inner("http://127.0.0.1:1/"));
    assertEquals((response as Response).status, 503);
    await breaker.execute(
      "outer",
      () => circuitErrorResponse(new CircuitOpenError({ key: "inner", retryAfterMs: 1 })),
    );
  }
  assertEquals((await store.peek("outer")).failureCount, 0);
});
