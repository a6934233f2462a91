/** Express's middleware on a real server. The runner is injected, so the same tests run on every runtime. */

import { assert, assertEquals, assertThrows } from "@std/assert";
// @ts-types="@types/connect"
import connect from "connect";
// @ts-types="@types/express"
import express, { type ErrorRequestHandler, type Express, type Request } from "express";
import type { RequestListener, ServerResponse } from "node:http";
import { CircuitBreaker, type CircuitOpenError, InMemoryCircuitBreakerStore } from "../../mod.ts";
import { circuitBreaker, circuitErrorHandler } from "../../src/web/express.ts";
import type { TestRunner } from "../conformance/suite.ts";
import { deferred } from "../support/deferred.ts";
import { until } from "../support/until.ts";
import type { CountedRequest } from "./counted_request.ts";
import { failed, Scene } from "./express_scene.ts";

/** Defines the tests. */
export function expressTests({ test }: TestRunner): void {
  test("circuitBreaker() has a circuit for each method and route, not for each path", async () => {
    await using scene = await Scene.open((breaker) => {
      const guarded = circuitBreaker(breaker);
      const router = express.Router();
      router.get("/list/:page", guarded, (_req, res) => void res.send("list"));
      const app = express();
      app.get("/users/:id", guarded, (req, res) => void res.send(req.params.id));
      app.post(["/users/:id", "/people/:id"], guarded, (_req, res) => void res.send("made"));
      app.get(/^\/files\//, guarded, (_req, res) => void res.send("file"));
      app.use("/api", router);
      app.use("/tenants/:tenant", router);
      return app;
    });
    for (const id of ["1", "2"]) assertEquals(await scene.ask(`/users/${id}`), [200, id]);
    await scene.ask("/users/1", { method: "HEAD" });
    await scene.ask("/people/1", { method: "POST" });
    await scene.ask("/files/a/b");
    for (const path of ["/api/list/1", "/API/list/2"]) await scene.ask(path);
    assertEquals(await scene.keys(), [
      "GET /^\\/files\\//",
      "GET /api/list/:page",
      "GET /users/:id",
      "POST /users/:id,/people/:id",
    ]);
    for (let id = 0; id < 50; id++) await scene.ask(`/tenants/${id}/list/1`);
    const keys = (await scene.keys()).filter((key) => key.endsWith("/list/:page"));
    assertEquals(keys.length, 9);
    assert(keys.includes("GET */list/:page") && keys.includes("GET /api/list/:page"), String(keys));
  });

  test("circuitBreaker() needs a key in front of all routes", async () => {
    const messages: string[] = [];
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.use("/no", circuitBreaker(breaker));
      app.use("/fixed", circuitBreaker(breaker, { key: "fixed" }));
      app.use("/chosen", circuitBreaker(breaker, { key: (req: Request) => req.get("x-tenant") }));
      app.use((_req, res) => void res.send("ok"));
      app.use(
        ((error, _req, res, _next) => {
          messages.push(error.message);
          res.sendStatus(500);
        }) as ErrorRequestHandler,
      );
      return app;
    });
    assertEquals((await scene.ask("/no"))[0], 500);
    assertEquals(messages, [
      'Cannot guard requests: there is no matched route in front of all routes: pass "key", or use the ' +
      "middleware in a route",
    ]);
    assertEquals(await scene.ask("/fixed"), [200, "ok"]);
    assertEquals(await scene.ask("/chosen"), [200, "ok"]);
    assertEquals(await scene.ask("/chosen", { headers: { "x-tenant": "t" } }), [200, "ok"]);
    assertEquals(await scene.keys(), ["fixed", "t"]);
  });

  test("circuitBreaker() counts by the status that is sent, when it has been sent", async () => {
    const { promise: late, resolve: end } = deferred();
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.use("/:kind", circuitBreaker(breaker, { key: (req: Request) => req.baseUrl.slice(1) }));
      app.get("/fine", (_req, res) => void res.send("fine"));
      app.get("/broken", (_req, res) => void res.status(502).send("broken"));
      app.get("/missing", (_req, res) => void res.sendStatus(404));
      app.get("/throws", () => {
        throw new Error("broken");
      });
      app.get("/rejects", async () => await Promise.reject(new Error("broken")));
      app.get("/next", (_req, _res, next) => next(new Error("broken")));
      app.get("/streams", async (_req, res) => {
        res.write("a");
        await late;
        res.end("b");
      });
      app.use(failed);
      return app;
    });
    const expected: CountedRequest[] = [
      ["fine", 200, [0, 1]],
      ["broken", 502, [1, 0]],
      ["missing", 404, [0, 1]],
      ["throws", 500, [1, 0]],
      ["rejects", 500, [1, 0]],
      ["next", 500, [1, 0]],
      ["nothing", 404, [0, 1]],
    ];
    for (const [path, status, counted] of expected) {
      assertEquals((await scene.ask(`/${path}`))[0], status, path);
      await until(async () => String(await scene.counts(path)) === String(counted));
    }
    const response = await fetch(`http://127.0.0.1:${scene.port}/streams`);
    assertEquals(await scene.counts("streams"), [0, 0]);
    end();
    assertEquals(await response.text(), "ab");
    await until(async () => (await scene.counts("streams"))[1] === 1);
  });

  test("circuitBreaker() refuses with 503, Retry-After and problem details", async () => {
    let served = 0;
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.use("/plain", circuitBreaker(breaker, { key: "internal" }));
      app.use("/key", circuitBreaker(breaker, { key: "internal", exposeKey: true }));
      app.use(
        "/own",
        circuitBreaker(breaker, {
          key: "internal",
          respond: (error: CircuitOpenError, _req, res: ServerResponse) =>
            void res.writeHead(418).end(String(error.isForced)),
        }),
      );
      app.use((_req, res) => void res.send(String(++served)));
      return app;
    });
    await scene.store.forceOpen("internal", { reason: "secret", forMs: 1500 });
    const response = await fetch(`http://127.0.0.1:${scene.port}/plain`);
    assertEquals(response.status, 503);
    const headers = ["cache-control", "content-type", "retry-after"].map((name) =>
      response.headers.get(name)
    );
    assertEquals(headers, ["no-store", "application/problem+json", "2"]);
    const problem = {
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: "A circuit breaker refuses this call. Try again in 2 s.",
    };
    assertEquals(await response.json(), problem);
    assertEquals(JSON.parse((await scene.ask("/key"))[1]), { ...problem, key: "internal" });
    assertEquals(await scene.ask("/own"), [418, "true"]);
    assertEquals(served, 0);
  });

  test("circuitErrorHandler() answers the errors of breakers, and passes on others", async () => {
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.get("/refused", async () => void await breaker.execute("k", () => 1));
      app.get("/late", async () => void await breaker.execute("slow", () => new Promise(() => {})));
      app.get("/other", () => {
        throw new Error("other");
      });
      app.use(circuitErrorHandler({ exposeKey: true }), failed);
      return app;
    }, { callTimeoutMs: 30 });
    await scene.store.forceOpen("k");
    const response = await fetch(`http://127.0.0.1:${scene.port}/refused`);
    assertEquals([response.status, response.headers.get("retry-after")], [503, "30"]);
    assertEquals((await response.json()).key, "k");
    assertEquals((await scene.ask("/late"))[0], 504);
    assertEquals(await scene.ask("/other"), [500, "failed"]);
  });

  test("circuitBreaker() counts no request that a circuit further inside refuses", async () => {
    const ignored: string[] = [];
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.use(circuitBreaker(breaker, { key: "outer" }));
      app.get(
        "/route",
        circuitBreaker(breaker, { key: "inner" }),
        (_req, res) => void res.send("never"),
      );
      app.get("/call", async () => void await breaker.execute("inner", () => 1));
      app.use(circuitErrorHandler());
      return app;
    }, { onIgnored: ({ key }) => void ignored.push(key) });
    await scene.store.forceOpen("inner");
    for (const path of ["/route", "/call", "/route"]) {
      assertEquals((await scene.ask(path))[0], 503);
    }
    await until(() => ignored.length === 3);
    assertEquals(await scene.counts("outer"), [0, 0]);
  });

  test("circuitBreaker() works in connect, and in a bare server", async () => {
    await using scene = await Scene.open((breaker) => {
      const app = connect();
      app.use("/a", circuitBreaker(breaker, { key: "a" }));
      app.use("/a", (_req, res) => void res.writeHead(500).end("broken"));
      app.use(circuitErrorHandler());
      const bare = circuitBreaker(breaker, { key: "b" });
      return ((req, res) => {
        if (req.url !== "/b") return app(req, res);
        bare(req, res, (error) => void res.end(error === undefined ? "bare" : "failed"));
      }) as RequestListener;
    });
    assertEquals(await scene.ask("/b"), [200, "bare"]);
    for (const status of [500, 500, 503]) assertEquals((await scene.ask("/a"))[0], status);
  });

  test("circuitBreaker() ignores the breaker's fallback, and passes on a broken store's error", async () => {
    const broken = {
      acquire: () => Promise.reject(new Error("gone")),
      peek: () => Promise.reject(new Error("gone")),
    };
    await using scene = await Scene.open((breaker) => {
      const app: Express = express();
      app.use("/k", circuitBreaker(breaker, { key: "k" }));
      const rejecting = new CircuitBreaker(broken, { onStoreError: "reject" });
      app.use("/reject", circuitBreaker(rejecting, { key: "k" }));
      app.use("/allow", circuitBreaker(new CircuitBreaker(broken), { key: "k" }));
      app.use((_req, res) => void res.send("served"));
      app.use(failed);
      return app;
    }, { fallback: () => "fallback" });
    await scene.store.forceOpen("k");
    assertEquals((await scene.ask("/k"))[0], 503);
    assertEquals(await scene.ask("/reject"), [500, "failed"]);
    assertEquals(await scene.ask("/allow"), [200, "served"]);
  });

  test("the options of Express's functions are checked", () => {
    const breaker = new CircuitBreaker(
      new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }),
    );
    const wrong = (value: unknown) => value as never;
    const message = (call: () => unknown) => assertThrows(call, TypeError).message;
    assertEquals(
      message(() => circuitBreaker(wrong(undefined))),
      'Cannot guard requests: "breaker" must be a CircuitBreaker, received undefined',
    );
    assertEquals(
      message(() => circuitBreaker(breaker, { exposekey: true } as object)),
      'Cannot guard requests: "exposeKey" must be spelt exactly so, received a similar name of 9 characters',
    );
    assertEquals(
      message(() => circuitErrorHandler({ exposeKey: wrong(1) })),
      'Cannot answer error: "exposeKey" must be true or false, received 1',
    );
  });
}
