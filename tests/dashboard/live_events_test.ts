import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CircuitChange,
  InMemoryCircuitBreakerStore,
  migrate,
  PostgresCircuitBreakerStore,
  type WatchOptions,
} from "../../mod.ts";
import { dashboard } from "../../src/dashboard/dashboard.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase, databaseUrl } from "../support/database.ts";
import { EventStream } from "./event_stream.ts";
import { get, getJson } from "./requests.ts";

/** A store that counts its watches. */
class CountedStore extends InMemoryCircuitBreakerStore {
  begun = 0;
  running = 0;

  override watch(options: WatchOptions = {}): AsyncIterableIterator<CircuitChange> {
    this.begun++;
    this.running++;
    options.signal?.addEventListener("abort", () => this.running--);
    return super.watch(options);
  }
}

Deno.test("browsers share one watch, which ends with the last of them", async () => {
  const store = new CountedStore();
  const handler = dashboard(store);
  await getJson(handler, "/api/circuits");
  assertEquals(store.begun, 0);
  {
    await using one = await EventStream.open(handler);
    await one.next("hello");
    {
      await using other = await EventStream.open(handler);
      await store.transition("api", "open");
      for (const stream of [one, other]) {
        const change = await stream.next("change");
        assertEquals([change?.data.storedKey, change?.data.to], ["api", "open"]);
      }
    }
    await store.transition("api", "closed");
    assertEquals((await one.next("change"))?.data.to, "closed");
    assertEquals([store.begun, store.running], [1, 1]);
  }
  assertEquals([store.begun, store.running], [1, 0]);
  await using again = await EventStream.open(handler);
  await store.transition("b", "open");
  assertEquals((await again.next("change"))?.data.storedKey, "b");
  assertEquals([store.begun, store.running], [2, 1]);
});

Deno.test("a browser that comes again hears what it missed", async () => {
  const store = new InMemoryCircuitBreakerStore();
  const handler = dashboard(store);
  await using other = await EventStream.open(handler);
  await store.transition("a", "open");
  const { id } = await other.next("change") ?? {};
  for (const key of ["b", "c"]) {
    await store.transition(key, "open");
    await other.next("change");
  }
  await using again = await EventStream.open(handler, id);
  await store.transition("d", "open");
  const heard: string[] = [];
  for (let i = 0; i < 3; i++) heard.push((await again.next("change"))?.data.storedKey);
  assertEquals(heard, ["b", "c", "d"]);
  // One that names what is not known any more reads everything at "hello".
  await using stranger = await EventStream.open(handler, "no-such-id");
  await store.transition("e", "open");
  assertEquals((await stranger.next("change"))?.data.storedKey, "e");
});

Deno.test("a browser that reads too slowly is dropped, and the others go on", async () => {
  const store = new InMemoryCircuitBreakerStore();
  const handler = dashboard(store);
  const slow = (await get(handler, "/api/events")).body!.getReader();
  await using fast = await EventStream.open(handler);
  for (let group = 0; group < 6; group++) {
    const keys = Array.from({ length: 40 }, (_, i) => `k${group}-${i}`);
    await Promise.all(keys.map((key) => store.transition(key, "open")));
    for (const key of keys) assertEquals((await fast.next("change"))?.data.storedKey, key);
  }
  await assertRejects(() => slow.read(), Error, "too slowly");
});

Deno.test("browsers hear the number of very many changes, and none is dropped for them", async () => {
  const store = new InMemoryCircuitBreakerStore();
  await using stream = await EventStream.open(dashboard(store));
  await stream.next("hello");
  const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => store.transition(key, "open")));
  let heard = 1; // the first change is sent at once
  assertEquals((await stream.next("change"))?.data.storedKey, "k0");
  const { data } = await stream.next("resync") ?? {};
  heard += data.changes;
  assertEquals(heard, 1000);
  await store.transition("k0", "closed");
  assertEquals((await stream.next("change"))?.data.to, "closed");
});

Deno.test("streams end with the store, so that a server can shut down", async () => {
  const controller = new AbortController();
  const store = new InMemoryCircuitBreakerStore();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: controller.signal },
    dashboard(store),
  );
  const { body } = await fetch(`http://127.0.0.1:${server.addr.port}/api/events`);
  const text = new Response(body).text();
  await store.close();
  assert((await text).includes("event: hello"));
  await server.shutdown();
});

Deno.test("a browser that goes away frees the watch behind a real server", async () => {
  const store = new CountedStore();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    dashboard(store),
  );
  const ended = Promise.withResolvers<void>();
  const controller = new AbortController();
  const begun = store.watch.bind(store);
  store.watch = (options = {}) => {
    options.signal?.addEventListener("abort", () => ended.resolve());
    return begun(options);
  };
  const { body } = await fetch(`http://127.0.0.1:${server.addr.port}/api/events`, {
    signal: controller.signal,
  });
  await body!.getReader().read();
  controller.abort();
  await ended.promise;
  assertEquals(store.running, 0);
  await server.shutdown();
});

Deno.test("browsers hear when the store is out, since when, and when it answers again", async () => {
  await using database = await createDatabase();
  await using proxy = TcpProxy.start(databaseUrl());
  await using direct = await openPostgresJs(database.url, { max: 1 });
  await migrate(direct.client);
  await using driver = await openPostgresJs(proxy.urlOf(database.url), { max: 2 });
  await using store = new PostgresCircuitBreakerStore(driver.client, { timeoutMs: 500 });
  await using other = new PostgresCircuitBreakerStore(direct.client);
  const handler = dashboard(store);
  await using stream = await EventStream.open(handler);
  assertEquals((await stream.next("beat"))?.data.store, { isOut: false });
  const before = Date.now();
  await proxy.refuse();
  proxy.cut();
  let beat = await stream.next("beat");
  while (!beat?.data.store.isOut) beat = await stream.next("beat");
  const { since, reason } = beat.data.store;
  assert(since >= before - 5000 && since <= Date.now(), `since ${since}`);
  assert(/^Cannot .+/.test(reason), reason);
  const refused = await get(handler, "/api/circuits");
  const said = await refused.json();
  assertEquals([refused.status, said.store.isOut, said.store.since], [503, true, since]);
  assertEquals((await get(handler, "/")).status, 200);
  // What happens meanwhile is heard afterwards.
  await other.transition("api", "open");
  await proxy.resume();
  // The watch and the beat recover each by itself.
  const heard = new Set<string>();
  while (heard.size < 2) {
    const { event, data } = await stream.next("beat", "change") ?? {};
    if (event === "change") heard.add(`change of ${data.storedKey}`);
    else if (!data.store.isOut) heard.add("well");
  }
  assertEquals([...heard].toSorted(), ["change of api", "well"]);
});

Deno.test("a watch that fails begins again, and browsers read everything anew", async () => {
  const store = new InMemoryCircuitBreakerStore();
  const watch = store.watch.bind(store);
  let isBroken = true;
  store.watch = (options) => {
    if (isBroken) throw new Error("no watch");
    return watch(options);
  };
  await using stream = await EventStream.open(dashboard(store));
  await stream.next("hello");
  isBroken = false;
  await stream.next("resync");
  await store.transition("api", "open");
  assertEquals((await stream.next("change"))?.data.storedKey, "api");
});

Deno.test("a browser beyond the bound is asked to come later, and has its place when one goes", async () => {
  const handler = dashboard(new InMemoryCircuitBreakerStore());
  await using streams = new AsyncDisposableStack();
  const first = await EventStream.open(handler);
  for (let i = 1; i < 500; i++) streams.use(await EventStream.open(handler));
  const refused = await get(handler, "/api/events");
  assertEquals([refused.status, refused.headers.get("retry-after")], [503, "30"]);
  assertEquals((await refused.json()).detail, "500 browsers look already.");
  await first[Symbol.asyncDispose]();
  streams.use(await EventStream.open(handler));
});

Deno.test("many browsers that look at once cost one read, and see each change", async () => {
  const store = new InMemoryCircuitBreakerStore();
  let lists = 0;
  const list = store.list.bind(store);
  store.list = (options) => {
    lists++;
    return list(options);
  };
  const handler = dashboard(store);
  await using stream = await EventStream.open(handler);
  await stream.next("hello");
  lists = 0;
  await Promise.all(Array.from({ length: 50 }, () => getJson(handler, "/api/circuits")));
  assert(lists <= 6, `${lists} lists`);
  await store.transition("api", "open");
  await stream.next("change");
  assertEquals((await getJson(handler, "/api/circuits")).counts.open, 1);
});
