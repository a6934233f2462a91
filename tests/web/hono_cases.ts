/** Hono's middleware. The runner is injected, so the same tests run on every runtime. */

import { assertEquals } from "@std/assert";
import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { CircuitBreaker, type CircuitOpenError } from "../../mod.ts";
import { circuitBreaker, circuitErrorResponse, guard } from "../../src/web/hono.ts";
import type { TestRunner } from "../conformance/suite.ts";
import { deferred } from "../support/deferred.ts";
import type { CountedRequest } from "./counted_request.ts";
import { ask, scene } from "./hono_scene.ts";

/** Defines the tests of `circuitBreaker`. */
export function honoTests({ test }: TestRunner): void {
  test("circuitBreaker() has a circuit for each method and route, not for each path", async () => {
    const { breaker, keys } = scene();
    const sub = new Hono().get("/:id", (c) => c.text(c.req.param("id")));
    const app = new Hono();
    app.use(circuitBreaker(breaker));
    app.get("/users/:id", (c) => c.text("user")).post((c) => c.text("made"));
    app.on(["PUT", "PATCH"], "/users/:id", (c) => c.text("changed"));
    app.all("/any/*", (c) => c.text("any"));
    app.route("/sub", sub);
    for (const id of [1, 2, 3]) assertEquals(await ask(app, `/users/${id}`), [200, "user"]);
    await ask(app, "/users/1", { method: "HEAD" });
    await ask(app, "/users/1", { method: "POST" });
    await ask(app, "/users/1", { method: "PUT" });
    await ask(app, "/any/1");
    await ask(app, "/any/2", { method: "PURGE" });
    await ask(app, "/any/2", { method: "BREW" });
    await ask(app, "/sub/7");
    assertEquals(await keys(), [
      "ALL /any/*",
      "GET /any/*",
      "GET /sub/:id",
      "GET /users/:id",
      "POST /users/:id",
      "PUT /users/:id",
    ]);
    for (const path of ["/no", "/such", "/path"]) assertEquals((await ask(app, path))[0], 404);
    assertEquals((await keys()).filter((key) => key.includes("GET /*")), ["GET /*"]);
  });

  test("circuitBreaker() in a route, and behind other middleware, means that route", async () => {
    const { breaker, keys } = scene();
    const app = new Hono();
    app.use("*", async (_c, next) => await next());
    app.get("/a/:id", circuitBreaker(breaker), (c) => c.text("a"));
    app.use("/b/*", circuitBreaker(breaker));
    app.get("/b/:id/*", (c) => c.text("b"));
    app.get("*", (c) => c.text("last"));
    await ask(app, "/a/1");
    await ask(app, "/b/1/2");
    await ask(app, "/b/1");
    assertEquals(await keys(), ["GET /a/:id", "GET /b/:id/*"]);
  });

  test("circuitBreaker() takes a key, or a function that may leave a request unguarded", async () => {
    const { breaker, keys } = scene();
    const app = new Hono();
    app.use("/a/*", circuitBreaker(breaker, { key: "fixed" }));
    app.use("/b/*", circuitBreaker(breaker, { key: (c) => c.req.header("x-tenant") }));
    app.get("*", (c) => c.text("ok"));
    await ask(app, "/a/1");
    assertEquals(await ask(app, "/b/1"), [200, "ok"]);
    await ask(app, "/b/1", { headers: { "x-tenant": "t" } });
    assertEquals(await keys(), ["fixed", "t"]);
  });

  test("circuitBreaker() counts by the response, which onError makes of an error", async () => {
    const { breaker, counts } = scene();
    const app = new Hono();
    app.use("/:kind", circuitBreaker(breaker, { key: (c: Context) => c.req.param("kind") }));
    app.get("/returns", (c) => c.text("broken", 500));
    app.get("/throws", () => {
      throw new Error("broken");
    });
    app.get("/missing", () => {
      throw new HTTPException(404);
    });
    app.get("/unavailable", () => {
      throw new HTTPException(503);
    });
    app.get("/limited", (c) => c.text("slower", 429));
    app.get("/denied", (c) => c.text("no", 403));
    app.onError((error, c) =>
      error instanceof HTTPException ? error.getResponse() : c.text("x", 500)
    );
    const expected: CountedRequest[] = [
      ["returns", 500, [1, 0]],
      ["throws", 500, [1, 0]],
      ["missing", 404, [0, 1]],
      ["unavailable", 503, [1, 0]],
      ["limited", 429, [1, 0]],
      ["denied", 403, [0, 1]],
    ];
    for (const [path, status, counted] of expected) {
      assertEquals((await ask(app, `/${path}`))[0], status, path);
      assertEquals(await counts(path), counted, path);
    }
  });

  test("circuitBreaker() passes on what is not an Error, and counts it", async () => {
    const { breaker, counts } = scene();
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "k" }));
    app.get("/", () => {
      throw "words";
    });
    assertEquals(await Promise.resolve(app.request("/")).catch((error) => error), "words");
    assertEquals(await counts("k"), [1, 0]);
  });

  test("circuitBreaker() refuses with 503, Retry-After and problem details", async () => {
    const { breaker, store } = scene();
    const app = new Hono();
    let served = 0;
    app.get("/plain", circuitBreaker(breaker, { key: "https://u:pw@internal" }), (c) => {
      served++;
      return c.text("served");
    });
    app.get("/key", circuitBreaker(breaker, { key: "https://u:pw@internal", exposeKey: true }));
    app.get(
      "/own",
      circuitBreaker(breaker, {
        key: "https://u:pw@internal",
        respond: (error: CircuitOpenError) => Response.json(error.isForced, { status: 418 }),
      }),
    );
    await store.forceOpen("https://u:pw@internal", { reason: "secret", forMs: 1500 });
    const response = await app.request("/plain");
    assertEquals(response.status, 503);
    assertEquals(Object.fromEntries(response.headers), {
      "cache-control": "no-store",
      "content-type": "application/problem+json",
      "retry-after": "2",
    });
    const problem = {
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: "A circuit breaker refuses this call. Try again in 2 s.",
    };
    assertEquals(await response.json(), problem);
    assertEquals(await (await app.request("/key")).json(), {
      ...problem,
      key: "https://u:pw@internal",
    });
    assertEquals(await ask(app, "/own"), [418, "true"]);
    assertEquals(served, 0);
  });

  test("circuitBreaker() leaves an inner refusal to onError, and does not count it", async () => {
    const { breaker, store, counts } = scene();
    await store.forceOpen("inner");
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "outer" }));
    app.get("/", (c) => breaker.execute("inner", () => c.text("never")) as Promise<Response>);
    app.onError((error) => circuitErrorResponse(error) as Response);
    assertEquals((await ask(app, "/"))[0], 503);
    assertEquals(await counts("outer"), [0, 0]);
  });

  test("circuitBreaker() counts no request that a circuit further inside refuses", async () => {
    const { breaker, store, counts } = scene();
    await store.forceOpen("inner");
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "outer" }));
    app.get("/route", circuitBreaker(breaker, { key: "inner" }), (c) => c.text("never"));
    app.get("/guard", guard(breaker, "inner", () => new Response("never")));
    for (const path of ["/route", "/guard", "/route"]) assertEquals((await ask(app, path))[0], 503);
    assertEquals(await counts("outer"), [0, 0]);
  });

  test("circuitBreaker() knows an inner refusal of which middleware has made the response anew", async () => {
    const { breaker, store, counts } = scene();
    await store.forceOpen("inner");
    const guarded = breaker.wrapFetch(fetch, { key: "inner", onRefused: "respond" });
    const send = () => guarded("http://127.0.0.1:1/");
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "outer" }));
    const made: boolean[] = [];
    app.use(async (c, next) => {
      await next();
      const before = c.res;
      c.header("x-anew", "1");
      made.push(c.res !== before);
    });
    app.get("/route", circuitBreaker(breaker, { key: "between" }), send);
    app.get("/guard", guard(breaker, "between", send));
    app.get("/refused", circuitBreaker(breaker, { key: "inner" }), (c) => c.text("never"));
    for (const path of ["/route", "/guard", "/refused"]) {
      assertEquals((await ask(app, path))[0], 503, path);
    }
    assertEquals(made, [true, true, true]);
    assertEquals(await counts("outer"), [0, 0]);
    assertEquals(await counts("between"), [0, 0]);
  });

  test("circuitBreaker() counts what a handler answers after a refusal inside of it", async () => {
    const { breaker, store, counts } = scene();
    await store.forceOpen("inner");
    const guarded = breaker.wrapFetch(fetch, { key: "inner", onRefused: "respond" });
    const advice = guard(breaker, "inner", () => new Response("never"));
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "outer" }));
    app.get("/:status", async (c) => {
      const refused = [await advice(c), await guarded("http://127.0.0.1:1/")];
      assertEquals(refused.map(({ status }) => status), [503, 503]);
      return new Response("another", { status: Number(c.req.param("status")) });
    });
    for (const status of [200, 503]) assertEquals((await ask(app, `/${status}`))[0], status);
    assertEquals(await counts("outer"), [1, 1]);
  });

  test("circuitBreaker() answers 504 when the time is over, and ignores the handler's answer", async () => {
    const { breaker, counts } = scene({ callTimeoutMs: 30 });
    const { promise: late, resolve: end } = deferred();
    const { promise: done, resolve: finish } = deferred();
    const app = new Hono();
    app.use(circuitBreaker(breaker, { key: "slow" }));
    app.get("/", async (c) => {
      await late;
      finish();
      return c.text("late");
    });
    const alive = setTimeout(() => {}, 10_000); // the breaker's timer keeps no process alive
    const response = await app.request("/");
    assertEquals(response.status, 504);
    assertEquals((await response.json()).title, "Gateway Timeout");
    end();
    await done;
    assertEquals(await counts("slow"), [1, 0]);
    clearTimeout(alive);
  });

  test("circuitBreaker() counts a client that is gone for nothing, and lets the handler end", async () => {
    const { breaker, counts } = scene();
    const { promise: begun, resolve: begin } = deferred();
    const { promise: late, resolve: end } = deferred();
    const errors: unknown[] = [];
    const app = new Hono();
    app.onError((error, c) => {
      errors.push(error);
      return c.text("failed", 500);
    });
    app.use(circuitBreaker(breaker, { key: "k" }));
    app.get("/", async (c) => {
      begin();
      await late;
      return c.text("failed", 500);
    });
    const client = new AbortController();
    const answered = app.request("/", { signal: client.signal });
    await begun;
    client.abort();
    end();
    assertEquals((await answered).status, 500);
    assertEquals([errors, await counts("k")], [[], [0, 0]]);
    // One that was gone before the request could be let through.
    assertEquals((await app.request("/", { signal: client.signal })).status, 499);
  });

  test("circuitBreaker() ignores the breaker's fallback, and passes on a broken store's error", async () => {
    const { breaker, store } = scene({ fallback: () => "fallback" });
    await store.forceOpen("k");
    const app = new Hono();
    app.get("/", circuitBreaker(breaker, { key: "k" }), (c) => c.text("served"));
    const broken = {
      acquire: () => Promise.reject(new Error("gone")),
      peek: () => Promise.reject(new Error("gone")),
    };
    const rejecting = new CircuitBreaker(broken, { onStoreError: "reject" });
    app.get("/reject", circuitBreaker(rejecting), (c) => c.text("served"));
    app.get("/allow", circuitBreaker(new CircuitBreaker(broken)), (c) => c.text("served"));
    app.onError((error, c) => c.text(error.message, 500));
    assertEquals((await ask(app, "/"))[0], 503);
    assertEquals(await ask(app, "/reject"), [500, "gone"]);
    assertEquals(await ask(app, "/allow"), [200, "served"]);
  });
}
