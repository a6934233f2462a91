import { assert, assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore, PostgresCircuitBreakerStore } from "../../mod.ts";
import { dashboard } from "../../src/dashboard/dashboard.ts";
import { openPostgresJs } from "../support/clients.ts";
import { act, get, type Handler, problemOf } from "./requests.ts";

const OPEN = { action: "open", storedKey: "api", reason: "maintenance" };
const NOT_OWN = "An act must come from the dashboard's own page.";

interface Scene {
  store: InMemoryCircuitBreakerStore;
  handler: Handler;
}

function scene(): Scene {
  const store = new InMemoryCircuitBreakerStore({ instanceId: "gateway-1" });
  const handler = dashboard(store, { readOnly: false, authorize: () => ({ actor: "ada" }) });
  return { store, handler };
}

/** Fails unless nothing was changed. */
async function assertUntouched({ store }: Scene): Promise<void> {
  assertEquals(await store.history(), []);
  assertEquals(await store.list(), []);
}

Deno.test("an operator opens, closes, releases and resets with a reason", async () => {
  const { store, handler } = scene();
  await store.transition("api", "open");
  const steps = [
    { action: "open", reason: " one ", forMs: 60_000 },
    { action: "close", reason: "two" },
    { action: "release", reason: "three" },
    { action: "reset", reason: "four" },
  ];
  const seen: unknown[] = [];
  for (const step of steps) {
    const response = await act(handler, { ...step, storedKey: "api" });
    assertEquals(response.status, 200);
    const [listed] = await store.list();
    const { state, since, until } = listed?.forced ?? {};
    seen.push([state, until !== undefined && since !== undefined ? until - since : undefined]);
  }
  assertEquals(seen, [["open", 60_000], ["closed", undefined], [undefined, undefined], [
    undefined,
    undefined,
  ]]);
  assertEquals(
    (await store.history()).map(({ cause, actor, reason }) => [cause, actor, reason]),
    [
      ["trip", "gateway-1", undefined],
      ["force", "ada", "one"],
      ["force", "ada", "two"],
      ["release", "ada", "three"],
      ["reset", "ada", "four"],
    ],
  );
});

Deno.test("an act of another site's page is refused", async () => {
  const played = scene();
  const foreign: Record<string, string | undefined>[] = [
    { origin: "https://evil.example" },
    { origin: "http://localhost:8001" },
    { origin: "null" },
    { origin: undefined },
    { origin: "" },
    { origin: "not an origin" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "" },
    { "sec-fetch-site": "same-origin", origin: "null" },
  ];
  for (const headers of foreign) {
    assertEquals(
      await problemOf(act(played.handler, OPEN, headers)),
      [403, NOT_OWN],
      JSON.stringify(headers),
    );
  }
  await assertUntouched(played);
});

Deno.test("an act that a form could send is refused", async () => {
  const played = scene();
  const [status, detail] = await problemOf(
    act(played.handler, OPEN, { "x-circuit-breaker-act": undefined }),
  );
  assertEquals([status, detail], [403, 'An act must have the header "x-circuit-breaker-act: 1".']);
  for (
    const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
      undefined,
    ]
  ) {
    // A request with a text body has a type of its own where none is given.
    const response = await act(played.handler, OPEN, { "content-type": type });
    assertEquals(response.status, 415, type);
  }
  await assertUntouched(played);
});

Deno.test("behind a proxy that changes the host, the browser's own word counts", async () => {
  const { handler } = scene();
  const proxied = { origin: "https://ops.example.com", "sec-fetch-site": "same-origin" };
  assertEquals((await act(handler, OPEN, proxied)).status, 200);
  const kept = { origin: "https://ops.example.com", host: "ops.example.com" };
  assertEquals((await act(handler, OPEN, kept)).status, 200);
  // A server that makes requests of its own need not pass the header on: their address has the host.
  assertEquals((await act(handler, OPEN, { host: undefined })).status, 200);
  const foreign = { host: undefined, origin: "https://evil.example" };
  assertEquals(await problemOf(act(handler, OPEN, foreign)), [403, NOT_OWN]);
});

Deno.test("acts that are not understood are refused, and change nothing", async () => {
  const played = scene();
  const wrong: [body: unknown, detail: RegExp][] = [
    ["", /JSON object/],
    ["{", /JSON object/],
    ["[]", /"action"/],
    ["null", /JSON object/],
    [{ ...OPEN, action: "explode" }, /"action" must be one of open, close, release, reset/],
    [{ ...OPEN, action: "constructor" }, /"action"/],
    [{ ...OPEN, storedKey: undefined }, /"storedKey"/],
    [{ ...OPEN, storedKey: { storedKey: "api" } }, /"storedKey"/],
    [{ ...OPEN, storedKey: "a\0b" }, /cannot be used/],
    [{ ...OPEN, storedKey: "\ud800" }, /cannot be used/],
    [{ ...OPEN, storedKey: "k".repeat(2601) }, /cannot be used/],
    [{ ...OPEN, reason: undefined }, /"reason" must have from 1 to 1000/],
    [{ ...OPEN, reason: "  " }, /"reason"/],
    [{ ...OPEN, reason: 7 }, /"reason"/],
    [{ ...OPEN, reason: "r".repeat(1001) }, /"reason"/],
    [{ ...OPEN, forMs: 0 }, /"forMs" must be a number/],
    [{ ...OPEN, forMs: -1 }, /"forMs"/],
    [{ ...OPEN, forMs: "60000" }, /"forMs"/],
    [{ ...OPEN, forMs: 1e15 }, /"forMs"/],
    [{ ...OPEN, action: "reset", forMs: 1000 }, /"forMs" does not go with "reset"/],
  ];
  for (const [body, detail] of wrong) {
    const [status, said] = await problemOf(act(played.handler, body));
    assertEquals(status, 400, JSON.stringify(body));
    assert(detail.test(said), said);
  }
  await assertUntouched(played);
});

Deno.test("a body that is too large is refused, also one that does not say its length", async () => {
  const played = scene();
  const large = JSON.stringify({ ...OPEN, more: "x".repeat(40_000) });
  assertEquals((await act(played.handler, large)).status, 413);
  assertEquals((await act(played.handler, large, { "content-length": "40100" })).status, 413);
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(8192));
    },
  });
  const request = new Request("http://localhost:8000/api/act", {
    method: "POST",
    body: endless,
    headers: {
      "content-type": "application/json",
      "origin": "http://localhost:8000",
      "host": "localhost:8000",
      "x-circuit-breaker-act": "1",
    },
  });
  assertEquals((await played.handler(request)).status, 413);
  assert(pulled < 10, `it read ${pulled} pieces`);
  await assertUntouched(played);
});

Deno.test("the longest key and reason fit, whatever their letters", async () => {
  const { store, handler } = scene();
  const storedKey = "\u0001".repeat(2600);
  const body = JSON.stringify({ ...OPEN, storedKey, reason: "\u0001".repeat(999) + "." });
  assertEquals((await act(handler, body)).status, 200);
  assertEquals((await store.list())[0]?.storedKey, storedKey);
});

Deno.test("an act that the store does not take is no mistake of the operator's", async () => {
  await using driver = await openPostgresJs("postgres://127.0.0.1:1/app", { max: 1 });
  await using store = new PostgresCircuitBreakerStore(driver.client, { timeoutMs: 2000 });
  const handler = dashboard(store, { readOnly: false, authorize: () => true });
  const [status, detail] = await problemOf(act(handler, OPEN));
  assertEquals([status, /^Cannot force/.test(detail)], [503, true], detail);
  const broken = scene();
  broken.store.forceOpen = () => Promise.reject(new Error("secret"));
  assertEquals(await problemOf(act(broken.handler, OPEN)), [500, "The dashboard failed."]);
});

Deno.test("an act without a type or a body is refused", async () => {
  const played = scene();
  const request = (headers: Record<string, string>) =>
    new Request("http://localhost:8000/api/act", {
      method: "POST",
      headers: {
        "origin": "http://localhost:8000",
        "host": "localhost:8000",
        "x-circuit-breaker-act": "1",
        ...headers,
      },
    });
  assertEquals((await played.handler(request({}))).status, 415);
  assertEquals(await problemOf(played.handler(request({ "content-type": "application/json" }))), [
    400,
    "An act must be a JSON object.",
  ]);
  await assertUntouched(played);
});

Deno.test("only POST acts", async () => {
  const played = scene();
  for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await get(played.handler, "/api/act?action=open&storedKey=api", { method });
    assertEquals([response.status, response.headers.get("allow")], [405, "POST"], method);
    assertEquals(response.headers.get("access-control-allow-origin"), null);
    await response.body?.cancel();
  }
  await assertUntouched(played);
});
