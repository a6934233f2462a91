import { assert, assertEquals, assertRejects } from "@std/assert";
import { circuitsFrom, findCircuit, listingOf } from "../../src/cli/circuits.ts";
import { fittedKey } from "../../src/cli/text.ts";
import { UsageError } from "../../src/cli/usage_error.ts";
import { compareKeys } from "../../src/key.ts";
import { InMemoryCircuitBreakerStore } from "../../src/memory_store.ts";
import { HOSTILE_KEYS } from "./hostile_keys.ts";
import { wordsOf } from "./shell.ts";

async function storeWith(keys: readonly string[]): Promise<InMemoryCircuitBreakerStore> {
  const store = new InMemoryCircuitBreakerStore();
  for (const key of keys) await store.recordFailure(key);
  return store;
}

async function keysFrom(
  store: InMemoryCircuitBreakerStore,
  options: Parameters<typeof circuitsFrom>[1],
): Promise<string[]> {
  return (await Array.fromAsync(circuitsFrom(store, options))).map(({ key }) => key);
}

Deno.test("circuitsFrom() finds the keys with a prefix and no others", async () => {
  const keys = ["a", "a\u0001", "aa", "ab", "b", "ba", "\ue000", "\ue000x", "\ud7ff", "\u{10000}z"];
  await using store = await storeWith(keys);
  for (const prefix of [...keys, "", "c", "\u0001", "\u{10000}"]) {
    assertEquals(
      await keysFrom(store, { prefix }),
      keys.filter((key) => key.startsWith(prefix)).toSorted(compareKeys),
      JSON.stringify(prefix),
    );
  }
  assertEquals(await keysFrom(store, { prefix: "a", limit: 2 }), ["a", "a\u0001"]);
});

Deno.test("circuitsFrom() reads more than one page", async () => {
  await using store = await storeWith(
    Array.from({ length: 2500 }, (_, i) => `k${String(i).padStart(5, "0")}`),
  );
  assertEquals((await keysFrom(store, { prefix: "k" })).length, 2500);
  assertEquals((await keysFrom(store, { limit: 1001 })).length, 1001);
  assertEquals((await keysFrom(store, { state: "open" })).length, 0);
});

Deno.test("listingOf() finds each hostile key by what is listed", async () => {
  await using store = await storeWith(HOSTILE_KEYS);
  const listed = await store.list({ limit: 1000 });
  assertEquals(listed.length, HOSTILE_KEYS.length);
  for (const { storedKey } of listed) {
    assertEquals((await listingOf(store, storedKey))?.storedKey, storedKey);
  }
  assertEquals(await listingOf(store, "nothing"), undefined);
});

Deno.test("findCircuit() takes a key of the gateway, a listed key, and a shortened one", async () => {
  await using store = await storeWith(HOSTILE_KEYS);
  const listed = await store.list({ limit: 1000 });
  for (const key of HOSTILE_KEYS) {
    const found = await findCircuit(store, key);
    const snapshot = await store.peek(found.key);
    assertEquals(snapshot.failureCount, 1, JSON.stringify(key));
  }
  for (const { storedKey } of listed) {
    assertEquals((await findCircuit(store, storedKey)).listing?.storedKey, storedKey);
  }
  // Each shortened key fits one circuit.
  const shown = listed.map(({ storedKey }) => fittedKey(storedKey, 30));
  const words = await wordsOf(shown.join(" "));
  for (const [i, { storedKey }] of listed.entries()) {
    assert((await findCircuit(store, words[i]!)).listing?.storedKey === storedKey, shown[i]);
  }
  const long = listed.find(({ storedKey }) => storedKey.startsWith("yyy"))!;
  const typed = `yy…${long.storedKey.slice(-8)}`;
  assertEquals((await findCircuit(store, typed)).listing?.storedKey, long.storedKey);
});

Deno.test("findCircuit() takes the empty key", async () => {
  await using store = await storeWith(["a"]);
  assertEquals((await findCircuit(store, "")).listing, undefined);
  await store.recordFailure("");
  assertEquals((await findCircuit(store, "")).listing?.failureCount, 1);
});

Deno.test("findCircuit() refuses a shortened key of several circuits", async () => {
  await using store = await storeWith(["/api/one/x", "/api/two/x", "a…b"]);
  await assertRejects(() => findCircuit(store, "/api/…/x"), UsageError, "several circuits fit");
  assertEquals((await findCircuit(store, "a…b")).listing?.key, "a…b");
  assertEquals((await findCircuit(store, "q…b")).listing, undefined);
});

Deno.test("findCircuit() takes a digest of a circuit that has gone for what it is", async () => {
  await using store = await storeWith([]);
  const digest = `k~sha256:${"0".repeat(64)}`;
  assertEquals((await findCircuit(store, digest)).key, { storedKey: digest });
  assertEquals((await findCircuit(store, "k")).key, { storedKey: "k" });
});
