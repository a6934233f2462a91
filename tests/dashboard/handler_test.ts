import { assert, assertEquals, assertMatch } from "@std/assert";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { dashboard } from "../../src/dashboard/dashboard.ts";
import { get, getJson, problemOf } from "./requests.ts";

const HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\n\x1b[31m\"'&";

Deno.test("the page loads nothing from elsewhere, and no other script runs in it", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore(), { title: `<b>"Ops"</b>` });
  const response = await get(handler, "/");
  const html = await response.text();
  assertEquals(response.headers.get("content-type"), "text/html; charset=utf-8");
  assertEquals(html.match(/<script/g)?.length, 1);
  assertEquals(html.match(/(?:src|href)="(?!\?|#|data:)[^"]*"/g), null);
  assert(!/\son\w+=/i.test(html.replace(/<script[^]*<\/script>/, "")), "an inline listener");
  assert(html.includes("<title>&#60;b&#62;&#34;Ops&#34;&#60;/b&#62;</title>"), html.slice(0, 400));
  const policy = response.headers.get("content-security-policy") ?? "";
  assertMatch(
    policy,
    /^default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}=';/,
  );
  assert(policy.includes("frame-ancestors 'none'") && !policy.includes("unsafe"), policy);
});

Deno.test("every answer is private, not framed and not sniffed", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore());
  const paths = ["/", "/api/circuits", "/api/changes", "/api/nothing", "/api/act", "/api/events"];
  for (const path of paths) {
    const response = await get(handler, path);
    const { headers } = response;
    assertEquals(headers.get("cache-control"), "no-store", path);
    assertEquals(headers.get("x-content-type-options"), "nosniff", path);
    assertEquals(headers.get("referrer-policy"), "same-origin", path);
    assertEquals(headers.get("cross-origin-resource-policy"), "same-origin", path);
    assertMatch(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/, path);
    assertEquals(headers.get("access-control-allow-origin"), null, path);
    await response.body?.cancel();
  }
});

Deno.test("addresses and methods that there are not have their problems", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore());
  for (const path of ["/x", "/api", "/api/circuits/", "//", "/api/instances"]) {
    assertEquals((await problemOf(get(handler, path)))[0], 404, path);
  }
  const response = await get(handler, "/api/circuits", { method: "POST", body: "{}" });
  assertEquals([response.status, response.headers.get("allow")], [405, "GET, HEAD"]);
  assertEquals(response.headers.get("content-type"), "application/problem+json; charset=utf-8");
  const head = await get(handler, "/", { method: "HEAD" });
  assertEquals([head.status, head.body], [200, null]);
  assertEquals((await get(handler, "/api/events", { method: "HEAD" })).status, 200);
});

Deno.test("questions that are not understood are refused", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore());
  const wrong = [
    "/api/circuits?state=broken",
    "/api/circuits?limit=0",
    "/api/circuits?limit=501",
    "/api/circuits?limit=x",
    "/api/circuits?after=x",
    "/api/circuits?state=open&after=closed:x",
    "/api/circuit",
    "/api/circuit?key=" + "k".repeat(3000) + "%00",
    "/api/changes?windowMs=-1",
    "/api/changes?windowMs=x",
    "/api/changes?key=%00",
  ];
  for (const path of wrong) {
    const response = await get(handler, path);
    const isFine = path.startsWith("/api/circuit?key="); // no circuit has such a key
    assertEquals(response.status, isFine ? 200 : 400, path);
    await response.body?.cancel();
  }
});

Deno.test("basePath is where all of it is served", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore(), { basePath: "/ops/circuits" });
  const redirected = await get(handler, "/ops/circuits?state=open");
  assertEquals(redirected.status, 308);
  const location = redirected.headers.get("location") ?? "";
  assertEquals(
    new URL(location, "http://localhost/ops/circuits?state=open").href,
    "http://localhost/ops/circuits/?state=open",
  );
  assertEquals((await get(handler, "/ops/circuits/")).status, 200);
  assertEquals((await get(handler, "/ops/circuits/api/circuits")).status, 200);
  for (const path of ["/", "/api/circuits", "/ops/circuitsapi/circuits", "/ops"]) {
    assertEquals((await get(handler, path)).status, 404, path);
  }
});

Deno.test("circuits come with the open ones first, in pages, by prefix and by state", async () => {
  const store = new InMemoryCircuitBreakerStore();
  const handler = dashboard(store);
  const keys = Array.from({ length: 25 }, (_, i) => `a${String(i).padStart(2, "0")}`);
  for (const key of [...keys, "b", HOSTILE]) await store.recordFailure(key);
  await store.transition("a20", "open");
  await store.transition("a10", "open");
  await store.transition("a05", "open");
  await store.transition("a05", "half-open");
  const seen: string[] = [];
  let next: string | undefined;
  do {
    const after = next === undefined ? "" : `&after=${encodeURIComponent(next)}`;
    const page = await getJson(handler, `/api/circuits?limit=2${after}`);
    assertEquals(page.counts, { open: 2, halfOpen: 1, most: 1000 });
    seen.push(...page.circuits.map(({ storedKey }: { storedKey: string }) => storedKey));
    next = page.next;
  } while (next !== undefined);
  const first = ["a10", "a20", "a05"];
  assertEquals(seen, [...first, HOSTILE, ...keys.filter((key) => !first.includes(key)), "b"]);
  const open = await getJson(handler, "/api/circuits?state=open");
  assertEquals(
    open.circuits.map(({ storedKey }: { storedKey: string }) => storedKey),
    ["a10", "a20"],
  );
  const found = async (q: string) =>
    (await getJson(handler, `/api/circuits?q=${encodeURIComponent(q)}`)).circuits.length;
  assertEquals(await found("a1"), 10);
  assertEquals(await found("a10"), 1);
  assertEquals(await found("a"), 25);
  assertEquals(await found("c"), 0);
  assertEquals(await found("\0"), 0);
  assertEquals(await found(HOSTILE.slice(0, 12)), 1);
});

Deno.test("keys that requests chose cannot make a circuit slow to find", async () => {
  const store = new InMemoryCircuitBreakerStore();
  for (let i = 0; i < 1500; i++) await store.recordFailure(`a\u{10ffff}${i}`);
  await store.recordFailure("b");
  let lists = 0;
  const list = store.list.bind(store);
  store.list = (options) => {
    lists++;
    return list(options);
  };
  const { circuit } = await getJson(dashboard(store), "/api/circuit?key=b");
  assertEquals([circuit.storedKey, lists], ["b", 3]);
});

Deno.test("one circuit and its changes are found by its stored key", async () => {
  const store = new InMemoryCircuitBreakerStore({ instanceId: "gateway-1" });
  const handler = dashboard(store);
  const long = "x\0".repeat(300);
  for (const key of ["api", "api2", HOSTILE, long]) {
    await store.recordFailure(key);
    await store.transition(key, "open");
  }
  for (const listing of await store.list()) {
    const query = new URLSearchParams({ key: listing.storedKey });
    const { circuit } = await getJson(handler, `/api/circuit?${query}`);
    assertEquals(circuit, listing);
    const { changes, total } = await getJson(handler, `/api/changes?${query}`);
    assertEquals([total, changes[0].storedKey, changes[0].cause], [1, listing.storedKey, "trip"]);
  }
  assertEquals((await getJson(handler, "/api/circuit?key=ap")).circuit, null);
  const all = await getJson(handler, "/api/changes?limit=2");
  assertEquals([all.total, all.changes.length], [4, 2]);
  assertEquals(all.changes[1].storedKey, (await store.history()).at(-1)?.storedKey);
});

Deno.test("a store that answers nothing makes the page no worse", async () => {
  const store = Object.assign(new InMemoryCircuitBreakerStore(), {
    list: () => Promise.reject(new Error("postgres://user:secret@host/ is gone")),
  });
  const handler = dashboard(store);
  assertEquals((await get(handler, "/")).status, 200);
  const response = await get(handler, "/api/circuits");
  const body = await response.json();
  assertEquals(response.status, 503);
  assertEquals([body.detail, body.store.isOut, body.store.reason], [
    "The store failed.",
    true,
    "The store failed.",
  ]);
  assert(Math.abs(body.store.since - Date.now()) < 60_000);
});
