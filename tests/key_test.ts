import { assert, assertEquals, assertMatch } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../mod.ts";
import { compareKeys, keyBefore, observedKeyOf } from "../src/key.ts";
import { openNodePostgres, openPostgresJs } from "./support/clients.ts";
import { createDatabase } from "./support/database.ts";

async function storedKeys(client: PostgresClient): Promise<string[]> {
  const { rows } = await client.query(
    `select key from stoma_circuit_breakers order by key collate "C"`,
  );
  return rows.map((row) => row.key as string);
}

Deno.test("storedKey leaves an ordinary key as it is, so that existing rows are found", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  const keys = ["", "/v1/orders?id=1", "api.example.com", "ümläut", "😀", "x".repeat(512)];
  for (const key of keys) await store.recordFailure(key);
  assertEquals(await storedKeys(driver.client), keys.toSorted());
  await driver.client.query(
    `insert into stoma_circuit_breakers (key, state) values ('by hand', 'open')`,
  );
  assertEquals((await store.getState("by hand")).state, "open");
});

Deno.test("storedKey makes a readable prefix and a digest of an awkward key", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  for (const key of ["/orders/\0", "/orders/\ud800", "/orders/" + "😀".repeat(3000)]) {
    await store.recordFailure(key);
    const [stored] = await storedKeys(driver.client);
    assertMatch(stored!, /^\/orders\/.*[0-9a-f]{64}$/s);
    assert(new TextEncoder().encode(stored).length < 1000);
    await store.reset(key);
  }
});

Deno.test("storedKey finds the same row through every driver and instance", async () => {
  await using database = await createDatabase();
  await using one = await openPostgresJs(database.url, { max: 1 });
  await using two = await openNodePostgres(database.url, { max: 1 });
  await migrate(one.client);
  await using first = new PostgresCircuitBreakerStore(one.client);
  await using second = new PostgresCircuitBreakerStore(two.client);
  for (const key of ["", "\0", "a\ud800", "😀".repeat(3000), "y".repeat(100_000), '{"a",NULL}']) {
    await first.recordFailure(key);
    assertEquals((await second.recordFailure(key)).failureCount, 2);
  }
});

Deno.test("five hundred generated keys have five hundred circuits, distinct in the store and in the table", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 4 });
  await migrate(driver.client);
  // Each reset is a statement of its own, and a busy machine takes long for 500.
  await using store = new PostgresCircuitBreakerStore(driver.client, { timeoutMs: 30_000 });
  const keys = [...generateKeys(500)];
  await Promise.all(keys.map((key) => store.recordFailure(key)));
  const counts = (await store.peek(keys)).map((each) => each.failureCount);
  assertEquals(counts, keys.map(() => 1));
  const listed = (await store.list({ limit: 10_000 })).map((entry) => entry.key);
  assertEquals(listed, await storedKeys(driver.client));
  assertEquals(listed.length, 500);
  await Promise.all(keys.map((key) => store.reset(key)));
  assertEquals(await store.list(), []);
});

Deno.test("list orders keys by bytes also in a table with a locale of its own", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  for (const view of ["overview", "timeline"]) {
    await driver.client.query(`drop view stoma_circuit_breakers_${view}`);
  }
  await driver.client.query(`alter table stoma_circuit_breakers
    alter column key type text collate "und-x-icu"`);
  for (const key of ["a", "B", "A", "b", "_"]) await store.recordFailure(key);
  const pages: string[] = [];
  for (let after: string | undefined; pages.length < 5;) {
    const [entry] = await store.list({ after, limit: 1 });
    pages.push(after = entry!.key);
  }
  assertEquals(pages, ["A", "B", "_", "a", "b"]);
});

/** Different strings of every length and kind of character, equal at every run. */
function generateKeys(count: number): Set<string> {
  let state = 42;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % below;
  };
  const kinds = [
    () => next(128),
    () => "{}\",\\'; NULL".charCodeAt(next(12)),
    () => 0xd800 + next(0x800),
    () => next(0x10000),
    () => 97,
  ];
  const keys = new Set<string>();
  while (keys.size < count) {
    const length = [next(4), next(40), next(700), next(4000)][next(4)]!;
    const kind = kinds[next(kinds.length)]!;
    keys.add(String.fromCharCode(...Array.from({ length }, kind)));
  }
  return keys;
}

Deno.test("keyBefore() comes before a text, and nothing that begins with the text comes before it", () => {
  for (
    const text of ["a", "ab", "\u0001", "a\u0001", "\ue000", "a\u{10000}", "決", "\x7f", "\u0080"]
  ) {
    const before = keyBefore(text);
    if (before !== undefined) assert(compareKeys(before, text) < 0, JSON.stringify(text));
  }
  assertEquals(keyBefore(""), undefined);
});

Deno.test("observedKeyOf() leads to one circuit, also from the key as it is listed", () => {
  for (const key of ["", "api", "決"]) {
    const observed = observedKeyOf(key);
    assert(observed !== key && observed.startsWith(key));
    assertEquals(observedKeyOf(observed), observed);
  }
});
