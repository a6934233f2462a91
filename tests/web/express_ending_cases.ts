/**
 * How requests end that Express's middleware guards. The runner is injected, so the same tests run on every
 * runtime.
 */

import { assertEquals } from "@std/assert";
// @ts-types="@types/express"
import express, { type ErrorRequestHandler } from "express";
import { connect as connectSocket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CircuitBreaker } from "../../mod.ts";
import { circuitBreaker, circuitErrorHandler } from "../../src/web/express.ts";
import type { TestRunner } from "../conformance/suite.ts";
import { deferred } from "../support/deferred.ts";
import { until } from "../support/until.ts";
import { Scene } from "./express_scene.ts";

/** Sends a request and goes away, in an orderly way or by a reset, once the handler runs. */
async function leave(scene: Scene, begun: Promise<unknown>, hard: boolean): Promise<void> {
  const socket = connectSocket(scene.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await begun;
  if (hard) socket.resetAndDestroy();
  else socket.destroy();
}

/** Defines the tests. */
export function expressEndingTests({ test }: TestRunner): void {
  // Its responses do not say which error destroyed them.
  const isDeno = "Deno" in globalThis;
  for (const hard of [false, true]) {
    for (const sends of [false, true]) {
      const title = `${hard ? "resets the connection" : "closes"} ${sends ? "after" : "before"}`;
      test(`circuitBreaker() counts a client that ${title} the headers for nothing`, async () => {
        const { promise: begun, resolve: begin } = deferred();
        const { promise: gone, resolve: go } = deferred();
        const ignored: string[] = [];
        await using scene = await Scene.open((breaker) => {
          const app = express();
          app.use(circuitBreaker(breaker, { key: "k" }));
          app.get("/", (_req, res) => {
            if (sends) res.write("a");
            res.once("close", go);
            begin();
          });
          return app;
        }, { onIgnored: ({ key }) => void ignored.push(key) });
        await leave(scene, begun, hard);
        await gone;
        await until(() => ignored.length === 1);
        assertEquals(await scene.counts("k"), [0, 0]);
      });
    }
  }

  if (!isDeno) {
    test("circuitBreaker() counts a response that an error destroys", async () => {
      await using scene = await Scene.open((breaker) => {
        const app = express();
        app.use(circuitBreaker(breaker, { key: "k" }));
        app.get("/", async (_req, res) => {
          const source = new Readable({
            read() {
              if (res.headersSent) this.destroy(new Error("the upstream broke off"));
              else this.push("a");
            },
          });
          await pipeline(source, res).catch(() => {});
        });
        return app;
      });
      await scene.ask("/").catch(() => {});
      await until(async () => (await scene.counts("k"))[0] === 1);
    });
  }

  test("circuitErrorHandler() lets an error behind the headers count as a failure", async () => {
    for (const isUsed of [true, false]) {
      const outcomes: string[] = [];
      await using scene = await Scene.open((breaker) => {
        const app = express();
        app.use(
          circuitBreaker(breaker, { key: "outer" }),
          circuitBreaker(breaker, { key: "inner" }),
        );
        app.get("/", (_req, res, next) => {
          res.write("a");
          next(new Error("broken"));
        });
        if (isUsed) app.use(circuitErrorHandler());
        app.use(((_error, req, _res, _next) => void req.socket.destroy()) as ErrorRequestHandler);
        return app;
      }, {
        onFailure: ({ key }) => void outcomes.push(`${key} failed`),
        onIgnored: ({ key }) => void outcomes.push(`${key} ignored`),
      });
      await scene.ask("/").catch(() => {});
      await until(() => outcomes.length === 2);
      const outcome = isUsed ? "failed" : "ignored";
      assertEquals(outcomes.toSorted(), [`inner ${outcome}`, `outer ${outcome}`]);
    }
  });

  test("circuitBreaker() answers 504 when the time is over, and a late handler harms nothing", async () => {
    const { promise: late, resolve: end } = deferred();
    const finished: string[] = [];
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.use(circuitBreaker(breaker, { key: "k" }));
      app.get("/callback", (_req, res) => {
        // Out of a callback, what is thrown would end the process.
        late.then(() =>
          setTimeout(() => {
            res.status(201).json({ late: true });
            res.write("more");
            res.end();
            finished.push("callback");
          })
        );
      });
      app.get("/stream", async (_req, res) => {
        await late;
        await pipeline(Readable.from(["a", "b"]), res).catch(() => {});
        finished.push("stream");
      });
      return app;
    }, { callTimeoutMs: 50 });
    for (const path of ["/callback", "/stream"]) {
      const response = await fetch(`http://127.0.0.1:${scene.port}${path}`);
      assertEquals([response.status, (await response.json()).title], [504, "Gateway Timeout"]);
    }
    end();
    await until(() => finished.includes("callback"));
    assertEquals((await scene.store.peek("k")).failureCount, 2);
  });

  test("circuitBreaker() lets a response go on that has begun when the time is over", async () => {
    const { promise: late, resolve: end } = deferred();
    await using scene = await Scene.open((breaker) => {
      const app = express();
      app.get("/", circuitBreaker(breaker, { key: "k" }), async (_req, res) => {
        res.write("a");
        await late;
        res.end("b");
      });
      return app;
    }, { callTimeoutMs: 30, onTimeout: () => end() });
    assertEquals(await scene.ask("/"), [200, "ab"]);
    assertEquals(await scene.counts("k"), [1, 0]);
  });

  test("circuitBreaker() leaves alone what another middleware answers while the store is asked", async () => {
    const { promise: asked, resolve: ask } = deferred();
    const { promise: answered, resolve: answer } = deferred();
    const errors: unknown[] = [];
    let refused = 0;
    await using scene = await Scene.open((_breaker, store) => {
      const slow = new CircuitBreaker({
        async acquire(key) {
          ask();
          await answered;
          return await store.acquire(key);
        },
        peek: (key) => store.peek(key),
      }, { onReject: () => refused++ });
      const app = express();
      app.use((_req, res, next) => {
        asked.then(() => res.end("another"));
        res.once("finish", answer);
        next();
      });
      app.use(circuitBreaker(slow, { key: "k" }));
      const onError: ErrorRequestHandler = (error, _req, _res, next) => next(errors.push(error));
      app.use(onError);
      return app;
    });
    await scene.store.forceOpen("k");
    assertEquals(await scene.ask("/"), [200, "another"]);
    await until(() => refused === 1);
    assertEquals(errors, []);
  });
}
