/** Hono's guard of calls. The runner is injected, so the same tests run on every runtime. */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { proxy } from "hono/proxy";
import { CircuitBreaker, InMemoryCircuitBreakerStore } from "../../mod.ts";
import { circuitBreaker, circuitErrorResponse, guard } from "../../src/web/hono.ts";
import type { TestRunner } from "../conformance/suite.ts";
import { FaultyUpstream } from "../support/faulty_upstream.ts";
import { until } from "../support/until.ts";
import { ask, scene } from "./hono_scene.ts";

/** Defines the tests of `guard`. */
export function guardTests({ test }: TestRunner): void {
  test("guard() hands the signal to a proxy, and decides by what the upstream answers", async () => {
    await using upstream = await FaultyUpstream.start();
    const { breaker, counts } = scene({ callTimeoutMs: 200 });
    const app = new Hono();
    app.onError((_error, c) => c.text("Bad Gateway", 502));
    app.all(
      "/*",
      guard(
        breaker,
        "up",
        (c, { signal }) => proxy(`${upstream.url}${c.req.path}`, { raw: c.req.raw, signal }),
      ),
    );
    assertEquals(await ask(app, "/a"), [200, "{}"]);
    upstream.mode = "hangs";
    assertEquals((await ask(app, "/b"))[0], 504);
    await until(() => upstream.abandoned === 1);
    assertEquals(await counts("up"), [1, 1]);
    upstream.mode = "resets";
    assertEquals((await ask(app, "/c"))[0], 502);
    assertEquals((await ask(app, "/d"))[0], 503);
    assertEquals(upstream.received, ["/a", "/b", "/c"]);
  });

  test("guard() ends the upstream's call when the client is gone", async () => {
    await using upstream = await FaultyUpstream.start();
    upstream.mode = "hangs";
    const { breaker, counts } = scene();
    const app = new Hono();
    const errors: unknown[] = [];
    app.onError((error, c) => {
      errors.push(error);
      return c.text("failed", 500);
    });
    app.get("/", guard(breaker, "up", (_c, { signal }) => fetch(upstream.url, { signal })));
    const client = new AbortController();
    const answered = app.request("/", { signal: client.signal });
    await until(() => upstream.received.length === 1);
    client.abort();
    assertEquals((await answered).status, 499);
    await until(() => upstream.abandoned === 1);
    assertEquals([errors, await counts("up")], [[], [0, 0]]);
  });

  test("guard() takes an HTTPException for its response, and another error for a failure", async () => {
    const { breaker, counts } = scene();
    const app = new Hono();
    const seen: unknown[] = [];
    const missing = new HTTPException(404, { message: "no such payment" });
    app.onError((error, c) => {
      seen.push(error);
      return c.text(error.message, 500);
    });
    app.get(
      "/missing",
      guard(breaker, "a", () => {
        throw missing;
      }),
    );
    app.get("/broken", guard(breaker, { key: "b" }, () => Promise.reject(new Error("broken"))));
    app.get(
      "/free",
      guard(breaker, { key: () => undefined }, (_c, { signal, isProbe }) => {
        assert(signal instanceof AbortSignal);
        return Response.json(isProbe);
      }),
    );
    await ask(app, "/missing");
    assertStrictEquals(seen[0], missing);
    await ask(app, "/broken");
    assertEquals(await ask(app, "/free"), [200, "false"]);
    assertEquals([await counts("a"), await counts("b")], [[0, 1], [1, 0]]);
  });

  test("guard() marks a probe, and has the route's key by default", async () => {
    const store = new InMemoryCircuitBreakerStore({
      failureThreshold: 1,
      failureWindowMs: 60_000,
      resetTimeoutMs: 1,
    });
    const breaker = new CircuitBreaker(store, { record: "await" });
    const app = new Hono();
    const statuses = [500, 200];
    app.get(
      "/p/:id",
      guard(
        breaker,
        {},
        (_c, { isProbe }) => Response.json(isProbe, { status: statuses.shift()! }),
      ),
    );
    assertEquals(await ask(app, "/p/1"), [500, "false"]);
    const key = "GET /p/:id";
    await until(async () => (await store.peek(key)).lastStateChange + 1 < Date.now());
    assertEquals(await ask(app, "/p/2"), [200, "true"]);
    assertEquals((await store.peek(key)).state, "closed");
  });

  test("the options of Hono's functions are checked", () => {
    const { breaker } = scene();
    const wrong = (value: unknown) => value as never;
    const message = (call: () => unknown) => assertThrows(call, TypeError).message;
    assertEquals(
      message(() => circuitBreaker(wrong("secret"))),
      'Cannot guard requests: "breaker" must be a CircuitBreaker, received a string of 6 characters',
    );
    assertEquals(
      message(() => circuitBreaker(breaker, { key: wrong(1) })),
      'Cannot guard requests: "key" must be a string or a function, received 1',
    );
    assertEquals(
      message(() => circuitBreaker(breaker, { exposeKey: wrong("yes") })),
      'Cannot guard requests: "exposeKey" must be true or false, received a string of 3 characters',
    );
    assertEquals(
      message(() => guard(breaker, { respond: wrong(503) }, () => new Response())),
      'Cannot guard requests: "respond" must be a function, received 503',
    );
    assertEquals(
      message(() => guard(breaker, "a", wrong(undefined))),
      'Cannot guard requests: "handler" must be a function, received undefined',
    );
    assertEquals(circuitErrorResponse(new Error("other")), undefined);
  });
}
