import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  CircuitBreaker,
  CircuitOpenError,
  InMemoryCircuitBreakerStore,
  isCallTimeoutError,
  isCircuitOpenError,
} from "../../mod.ts";
import { until } from "../support/until.ts";
import { ok, Scene, text } from "./fetch_scene.ts";

Deno.test("wrapFetch() guards by the origin of a string, a URL and a Request", async () => {
  await using scene = new Scene(ok);
  const { origin } = scene;
  const guarded = scene.breaker.wrapFetch();
  assertEquals(await text(guarded(`${origin}/a?b`)), "fine");
  assertEquals(await text(guarded(new URL(`${origin}/c`))), "fine");
  assertEquals(await text(guarded(new Request(`${origin}/d`))), "fine");
  assertEquals((await scene.store.list()).map(({ key }) => key), [origin]);
  assertEquals(await scene.counts(), [0, 3]);
});

Deno.test("wrapFetch() guards no data: URL", async () => {
  await using scene = new Scene(ok);
  assertEquals(await text(scene.breaker.wrapFetch()("data:text/plain,here")), "here");
  assertEquals(await scene.store.list(), []);
});

Deno.test("wrapFetch() takes a key, or a function that chooses one by method and URL", async () => {
  await using scene = new Scene(ok);
  const { breaker, store, origin } = scene;
  await text(breaker.wrapFetch(fetch, { key: "fixed" })(origin));
  const chosen = breaker.wrapFetch(fetch, {
    key: ({ method, url }) =>
      url.pathname === "/free" ? undefined : `${method} ${url.host}${url.pathname}`,
  });
  await text(chosen(`${origin}/a`, { method: "post", body: "x" }));
  await text(chosen(new Request(`${origin}/b`, { method: "PUT" })));
  await text(chosen(`${origin}/free`));
  const host = new URL(origin).host;
  assertEquals((await store.list()).map(({ key }) => key), [
    `POST ${host}/a`,
    `PUT ${host}/b`,
    "fixed",
  ]);
  assertEquals(scene.paths.length, 4);
});

Deno.test("wrapFetch() rejects a relative URL, and one that is none, with what to do", async () => {
  await using scene = new Scene(ok);
  const guarded = scene.breaker.wrapFetch();
  for (const url of ["/a", "secret"]) {
    const error = await assertRejects(() => guarded(url), TypeError);
    assertEquals(
      error.message,
      `Cannot fetch: the URL must be absolute, received a string of ${url.length} characters: pass ` +
        'the origin as well, or "key" as a string to wrapFetch',
    );
  }
  // A fetch that has a base of its own gets it as it is.
  const urls: string[] = [];
  const based = (url: string) => Promise.resolve(urls.push(url));
  await scene.breaker.wrapFetch(based, { key: "based" })("/a");
  assertEquals(urls, ["/a"]);
});

Deno.test("wrapFetch() returns a 5xx, counts it, and refuses when the circuit is open", async () => {
  await using scene = new Scene(() => new Response("broken", { status: 500 }));
  const guarded = scene.breaker.wrapFetch();
  for (let call = 0; call < 2; call++) {
    const response = await guarded(scene.origin);
    assertEquals([response.status, await response.text()], [500, "broken"]);
  }
  const error = await assertRejects(() => guarded(scene.origin), CircuitOpenError);
  assertEquals([error.key, error.retryAfterMs > 0], [scene.origin, true]);
  assertEquals(scene.paths.length, 2);
});

Deno.test("wrapFetch() answers a refused call with a Response where it is asked to", async () => {
  await using scene = new Scene(ok);
  await scene.store.forceOpen(scene.origin, { reason: "secret" });
  const guarded = scene.breaker.wrapFetch(fetch, { onRefused: "respond" });
  const response = await guarded(scene.origin);
  assertEquals([response.status, response.headers.get("retry-after")], [503, "30"]);
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  assertEquals(await response.json(), {
    type: "about:blank",
    title: "Service Unavailable",
    status: 503,
    detail: "A circuit breaker refuses this call. Try again in 30 s.",
  });
  assertEquals(scene.paths, []);
  // A refusal of another breaker inside is this fetch's failure, and no answer of its own.
  const inner = new CircuitOpenError({ key: "inner", retryAfterMs: 1 });
  const failing = scene.breaker.wrapFetch(() => Promise.reject(inner), {
    key: "outer",
    onRefused: "respond",
  });
  assertStrictEquals(await failing().catch((error) => error), inner);
});

Deno.test("wrapFetch() passes a fetch exactly what it is given, where no time limit is set", async () => {
  await using scene = new Scene(ok);
  const received: unknown[][] = [];
  const bare = function (this: unknown, ...args: unknown[]) {
    received.push([this, ...args]);
    return Promise.resolve(new Response());
  };
  const guarded = scene.breaker.wrapFetch(bare as typeof fetch);
  const init = { method: "POST", signal: new AbortController().signal };
  const request = new Request(scene.origin);
  await guarded(scene.origin, init);
  await guarded(request);
  assertStrictEquals(received[0]?.[2], init);
  assertStrictEquals(received[1]?.[1], request);
  assertEquals(received.map(([self]) => self), [undefined, undefined]);
});

Deno.test("wrapFetch() keeps what a fetch has of its own", () => {
  const breaker = new CircuitBreaker(
    new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }),
  );
  const preconnect = (url: string) => url;
  const bare = Object.assign(() => Promise.resolve(new Response()), { preconnect });
  assertStrictEquals(breaker.wrapFetch(bare).preconnect, preconnect);
});

/** A server that never answers, and counts the requests that their callers give up. */
function silent() {
  const seen = { abandoned: 0 };
  const handler = (request: Request) =>
    new Promise<Response>((resolve) =>
      request.signal.addEventListener("abort", () => {
        seen.abandoned++;
        resolve(new Response());
      })
    );
  return { handler, seen };
}

for (const callTimeoutMs of [undefined, 60_000]) {
  const title = callTimeoutMs === undefined ? "" : ", also with a time limit";

  Deno.test(`wrapFetch() ignores what the caller aborts${title}`, async () => {
    const { handler, seen } = silent();
    await using scene = new Scene(handler, { callTimeoutMs });
    const { origin } = scene;
    const guarded = scene.breaker.wrapFetch();
    const calls = [
      (signal: AbortSignal) => guarded(origin, { signal }),
      (signal: AbortSignal) => guarded(new Request(origin, { signal })),
      (signal: AbortSignal) =>
        guarded(new Request(origin, { signal: new AbortController().signal }), { signal }),
    ];
    for (const call of calls) {
      for (const reason of [new Error("mine"), "words", undefined]) {
        const controller = new AbortController();
        const before = scene.paths.length;
        const ended = call(controller.signal).catch((error) => error);
        await until(() => scene.paths.length > before);
        controller.abort(reason);
        assertStrictEquals(await ended, controller.signal.reason);
      }
    }
    await until(() => seen.abandoned === 9);
    assertEquals(await scene.counts(), [0, 0]);
    // One that has aborted before sends nothing.
    const before = scene.paths.length;
    await assertRejects(() => guarded(origin, { signal: AbortSignal.abort() }), DOMException);
    assertEquals(scene.paths.length, before);
  });

  Deno.test(`wrapFetch() lets the caller abort a body after the headers${title}`, async () => {
    await using scene = new Scene(
      () => new Response(new ReadableStream({ start: (to) => to.enqueue(new Uint8Array(1)) })),
      { callTimeoutMs },
    );
    const controller = new AbortController();
    const response = await scene.breaker.wrapFetch()(scene.origin, { signal: controller.signal });
    const reader = response.body!.getReader();
    assertEquals((await reader.read()).done, false);
    const reason = new Error("enough");
    const reading = reader.read().then(() => "read", (error) => error);
    controller.abort(reason);
    assertStrictEquals(await reading, reason);
    assertEquals(await scene.counts(), [0, 1]);
  });
}

Deno.test("wrapFetch() lets init's null take a Request's signal away, as fetch does", async () => {
  await using scene = new Scene(ok);
  const request = new Request(scene.origin, { signal: AbortSignal.abort() });
  const guarded = scene.breaker.wrapFetch();
  await assertRejects(() => guarded(request), DOMException);
  assertEquals(await text(guarded(request, { signal: null })), "fine");
});

Deno.test("wrapFetch() counts no Request whose body was sent before: nothing is sent", async () => {
  await using scene = new Scene(async (request) => new Response(await request.text()));
  const guarded = scene.breaker.wrapFetch();
  const request = new Request(scene.origin, { method: "POST", body: "once" });
  assertEquals(await text(guarded(request)), "once");
  for (let time = 0; time < 3; time++) await assertRejects(() => guarded(request), TypeError);
  assertEquals([await scene.counts(), scene.paths.length], [[0, 1], 1]);
});

Deno.test("wrapFetch() aborts a fetch whose time is over, which is a failure", async () => {
  const { handler, seen } = silent();
  await using scene = new Scene(handler, { callTimeoutMs: 50 });
  const error = await scene.breaker.wrapFetch()(scene.origin).catch((error) => error);
  assert(isCallTimeoutError(error), String(error));
  await until(() => seen.abandoned === 1);
  assertEquals(await scene.counts(), [1, 0]);
});

Deno.test("wrapFetch() lets a body take longer than a call", async () => {
  const { promise: late, resolve: end } = Promise.withResolvers<void>();
  const encode = (part: string) => new TextEncoder().encode(part);
  await using scene = new Scene(() =>
    new Response(
      new ReadableStream({
        async start(to) {
          to.enqueue(encode("a"));
          await late;
          to.enqueue(encode("b"));
          to.close();
        },
      }),
    ), { callTimeoutMs: 30 });
  const guarded = scene.breaker.wrapFetch();
  const response = await guarded(scene.origin);
  // Another call of the same breaker, begun later, whose time ends.
  await assertRejects(() => scene.breaker.execute("other", () => new Promise(() => {})));
  end();
  assertEquals(await response.text(), "ab");
  assertEquals(await scene.counts(), [0, 1]);
});

Deno.test("wrapFetch() frees the response of a fetch that ignores its signal and is too late", async () => {
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
  const { promise: late, resolve: end } = Promise.withResolvers<Response>();
  const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
  const breaker = new CircuitBreaker(store, { callTimeoutMs: 20 });
  const alive = setTimeout(() => {}, 10_000); // the breaker's timer keeps no process alive
  const guarded = breaker.wrapFetch(() => late, { key: "stubborn" });
  const error = await guarded().catch((error) => error);
  assert(isCallTimeoutError(error), String(error));
  end(new Response(new ReadableStream({ cancel })));
  await cancelled;
  clearTimeout(alive);
});

const echo = async (request: Request) =>
  new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`);

for (const callTimeoutMs of [undefined, 60_000]) {
  const title = callTimeoutMs === undefined ? "" : ", also with a time limit";

  Deno.test(`wrapFetch() sends streams and Requests once${title}`, async () => {
    await using scene = new Scene(echo, { callTimeoutMs });
    const { origin } = scene;
    const guarded = scene.breaker.wrapFetch();
    const headers = { "x-a": "1" };
    const request = () => new Request(origin, { method: "POST", body: "abc", headers });
    const body = ReadableStream.from([new TextEncoder().encode("abc")]);
    const init = { method: "POST", body, headers, duplex: "half" } as RequestInit;
    assertEquals(await text(guarded(origin, init)), "POST 1 abc");
    const used = request();
    assertEquals(await text(guarded(used)), "POST 1 abc");
    assert(used.bodyUsed);
    // A Request may serve as init: what it has are getters of its prototype.
    assertEquals(await text(guarded(origin, request())), "POST 1 abc");
    assertEquals(await text(guarded(request(), { headers: { "x-a": "2" } })), "POST 2 abc");
    await assertRejects(() => guarded(used), TypeError);
  });

  Deno.test(`wrapFetch() follows redirects within one call, of the first origin${title}`, async () => {
    await using target = new Scene(() => new Response("there", { status: 500 }));
    await using scene = new Scene(() => Response.redirect(target.origin), { callTimeoutMs });
    const guarded = scene.breaker.wrapFetch();
    const response = await guarded(scene.origin);
    assertEquals([response.status, response.redirected, await response.text()], [
      500,
      true,
      "there",
    ]);
    assertEquals(await scene.counts(), [1, 0]);
    assertEquals(await scene.counts(target.origin), [0, 0]);
    const manual = await guarded(scene.origin, { redirect: "manual" });
    await manual.body?.cancel();
    assertEquals(await scene.counts(), [1, 1]);
  });
}

/** A server whose every body breaks off after a byte. */
function breaksOff() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answer = new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na");
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(1000));
      await connection.write(answer);
      connection.close();
    }
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}/`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

Deno.test("wrapFetch() has decided before a body fails, and execute() decides by the body", async () => {
  await using server = breaksOff();
  const store = new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 });
  const breaker = new CircuitBreaker(store, { record: "await" });
  await assertRejects(() => text(breaker.wrapFetch(fetch, { key: "headers" })(server.url)));
  await assertRejects(() => breaker.execute("body", () => text(fetch(server.url))));
  const [headers, body] = await store.peek(["headers", "body"]);
  assertEquals([headers?.failureCount, headers?.successCount], [0, 1]);
  assertEquals([body?.failureCount, body?.successCount], [1, 0]);
});

Deno.test("wrapFetch() counts no request that cannot be sent", async () => {
  for (const callTimeoutMs of [undefined, 60_000]) {
    await using scene = new Scene(ok, { callTimeoutMs });
    const guarded = scene.breaker.wrapFetch();
    const wrong: [title: string, init: RequestInit][] = [
      ["value of a header", { headers: { "x-a": "a\nb" } }],
      ["name of a header", { headers: { "x a": "b" } }],
      ["method", { method: "a b" }],
      ["body of a GET", { body: "a" }],
      ["redirect", { redirect: "never" as "manual" }],
    ];
    for (const [title, init] of wrong) {
      for (let call = 0; call < 3; call++) {
        await assertRejects(() => guarded(scene.origin, init), TypeError, undefined, title);
      }
    }
    assertEquals([await scene.counts(), scene.paths], [[0, 0], []]);
    // The next one reaches the server.
    assertEquals(await text(guarded(scene.origin, { headers: { "x-a": "b" } })), "fine");
  }
});

Deno.test("wrapFetch() counts what a fetch throws on the way, whatever request it was given", async () => {
  await using scene = new Scene(ok);
  const failing = (_input: RequestInfo | URL, _init?: RequestInit): Promise<Response> =>
    Promise.reject(new TypeError("fetch failed"));
  // Functions around fetch take what no Request has: a GET with a body, credentials, a path.
  for (const init of [{ body: "a" }, { headers: { "x a": "b" } }, {}]) {
    const key = JSON.stringify(init);
    await assertRejects(() => scene.breaker.wrapFetch(failing, { key })("/path", init), TypeError);
    assertEquals(await scene.counts(key), [1, 0], key);
  }
});

Deno.test("wrapFetch() counts a failure of which the body was read, and a stream that is sent again", async () => {
  await using scene = new Scene(async (request) => {
    await request.body?.cancel();
    return new Response("fine", { status: 302, headers: { location: "/again" } });
  });
  const guarded = scene.breaker.wrapFetch();
  const body = new Blob(["a"]).stream();
  // A retry in a fetch throws the same for the stream of its first attempt: it says nothing of who is at fault.
  for (const failures of [1, 2]) {
    await assertRejects(() => guarded(scene.origin, { method: "POST", body, redirect: "error" }));
    assertEquals([await scene.counts(), scene.paths], [[failures, 0], ["/"]]);
  }
});

Deno.test("wrapFetch() counts a connection that is refused", async () => {
  await using scene = new Scene(ok);
  const guarded = scene.breaker.wrapFetch();
  const url = "http://127.0.0.1:1/";
  for (let call = 0; call < 2; call++) await assertRejects(() => guarded(url), TypeError);
  assert(isCircuitOpenError(await guarded(url).catch((error) => error)));
});
