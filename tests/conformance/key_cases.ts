/** Keys: any string is a circuit of its own. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { keysOf, pages } from "./list_cases.ts";
import { failureOf, FRESH, type Suite } from "./session.ts";

const TEN_KB = "/a/long/path".repeat(1000).slice(0, 10_000);

/** Keys that PostgreSQL can hold and index: they come back from list as they are. */
const PLAIN_KEYS: readonly string[] = [
  "",
  " ",
  "  ",
  "\t\n\r",
  "null",
  "NULL",
  '"NULL"',
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "{",
  "}",
  "{}",
  "{a,b}",
  ",",
  "a,b",
  '"',
  '""',
  "\\",
  "\\\\",
  '\\"',
  "\\x00",
  "\\0",
  "'",
  "''",
  "$1",
  "%",
  "_",
  "a%b",
  "a_b",
  "'; drop table circuits; --",
  "$$; select 1; $$",
  "/* */",
  "E'\\n'",
  "é",
  "e\u0301",
  "É",
  "ß",
  "ss",
  "\u00a0",
  "\ufffd",
  "\ufffe",
  "\uffff",
  "\u0001",
  "\u007f",
  "😀",
  "👩‍👩‍👧‍👦",
  "\u{10ffff}",
  "GET https://api.example.com/v1/orders?id=42&x=%00",
];

/** Keys that PostgreSQL cannot hold (NUL, lone surrogates) or cannot index (too long). */
const AWKWARD_KEYS: readonly string[] = [
  // Drivers that decode with TextDecoder drop a byte order mark at the start.
  "\ufeff",
  "\ufeffa",
  "\ufeff\ufeffa",
  "a\ufeff",
  "\0",
  "\0\0",
  "a\0",
  "\0a",
  "a\0b",
  "a\ufffdb",
  "a b",
  "ab",
  "\ud800",
  "\ud801",
  "\udc00",
  "\udfff\ud800",
  "a\ud800b",
  "a\ud801b",
  "a\udc00b",
  "\ud83d",
  "\ud83d\ud83d\ude00",
  TEN_KB + "x",
  TEN_KB + "y",
  TEN_KB,
  "\0" + TEN_KB,
  TEN_KB + "\ud800",
  TEN_KB + "\ud801",
  "😀".repeat(2500),
  "😀".repeat(2500) + "\ud83d",
  // Lengths on both sides of what a btree page takes (2704 bytes), which compression cannot shrink.
  ...[2047, 2048, 2600, 2650, 2691, 2692, 2700, 2703, 2704, 2705, 2712, 2713, 2800, 8191].map(
    noise,
  ),
];

export function keyTests({ test, timed }: Suite): void {
  test("no key fails in any call", async (store) => {
    for (const key of [...PLAIN_KEYS, ...AWKWARD_KEYS]) {
      assertEquals(await store.getState(key), FRESH, named(key));
      assertEquals((await store.recordSuccess(key)).successCount, 1, named(key));
      assertEquals((await store.recordFailure(key)).failureCount, 1, named(key));
      assertEquals((await store.transition(key, "open")).state, "open", named(key));
      assertEquals((await store.peek(key)).state, "open", named(key));
      assertEquals((await store.peek([key, key])).length, 2, named(key));
      await store.reset(key);
      assertEquals(await store.getState(key), FRESH, named(key));
    }
  });

  timed("no two keys share a circuit", async (store) => {
    const keys = [...new Set([...PLAIN_KEYS, ...AWKWARD_KEYS])];
    await Promise.all(keys.map(async (key, index) => {
      await store.recordFailure(key);
      if (index % 2) await store.recordSuccess(key);
    }));
    const snapshots = await store.peek(keys);
    for (const [index, each] of snapshots.entries()) {
      assertEquals([each.failureCount, each.successCount], [1, index % 2], named(keys[index]!));
    }
    assertEquals((await store.list({ limit: 10_000 })).length, keys.length);
  });

  test("an ordinary key comes back from list() as it is", async (store) => {
    for (const key of PLAIN_KEYS) await store.recordFailure(key);
    assertEquals(new Set(keysOf(await store.list())), new Set(PLAIN_KEYS));
  });

  test("an awkward key comes back from list() readable", async (store) => {
    for (const key of ["api.example.com/\0orders", "api.example.com/\ud800", "api" + TEN_KB]) {
      await store.recordFailure(key);
      const [entry] = await store.list();
      assertMatch(entry!.key, /api/);
      assert(new TextEncoder().encode(entry!.key).length <= 2700 || entry!.key === key);
      await store.reset(key);
    }
  });

  test("list() page by page gives every awkward key once", async (store) => {
    const keys = [...new Set([...PLAIN_KEYS, ...AWKWARD_KEYS])];
    await Promise.all(keys.map((key) => store.recordFailure(key)));
    const listed = keysOf(await pages(store, { limit: 7 }));
    assertEquals(listed.length, keys.length);
    assertEquals(new Set(listed).size, keys.length);
    assertEquals(listed, keysOf(await store.list({ limit: 10_000 })));
  });

  test("a key equal to what list() shows for an awkward key is another circuit", async (store) => {
    for (const key of ["a\0b", "a\ud800b", TEN_KB, noise(3000)]) {
      const before = await store.recordFailure(key);
      const shown = (await store.list())[0]!.key;
      if (shown !== key) {
        assertEquals(await store.getState(shown), FRESH);
        assertEquals((await store.recordSuccess(shown)).failureCount, 0);
        assertEquals((await store.list()).length, 2);
        await store.reset(shown);
      }
      assertEquals(await store.getState(key), before);
      await store.reset(key);
    }
  });

  test("list() takes any string as a cursor", async (store) => {
    await store.recordFailure("api");
    for (const after of AWKWARD_KEYS) assert(Array.isArray(await store.list({ after })));
    assertEquals(keysOf(await store.list({ after: "b\0" })), []);
    assertEquals(keysOf(await store.list({ after: "a" + "a".repeat(1_000_000) })), ["api"]);
  });

  test("a key of a megabyte is a circuit like any other", async (store) => {
    const key = "x".repeat(1_000_000);
    const other = key + "y";
    await store.recordFailure(key);
    assertEquals((await store.recordFailure(key)).failureCount, 2);
    assertEquals(await store.getState(other), FRESH);
    assertEquals((await store.peek([other, key]))[1]!.failureCount, 2);
    await store.reset(key);
    assertEquals(await store.list(), []);
  });

  for (const key of ["api", TEN_KB, "nul \0", "\ud800"]) {
    test(`every method takes the listing of the circuit ${named(key)}`, async (store) => {
      await store.recordFailure(key);
      const [listing] = await store.list();
      assert(listing !== undefined);
      const { storedKey } = listing;
      assertEquals((await store.getState(listing)).failureCount, 1);
      assertEquals((await store.recordFailure({ storedKey })).failureCount, 2);
      assertEquals((await store.recordSuccess(listing)).successCount, 1);
      assertEquals((await store.transition(listing, "open")).state, "open");
      assertEquals((await store.forceClosed(listing)).state, "closed");
      assertEquals((await store.forceOpen({ storedKey })).state, "open");
      await store.transition(key, "closed");
      assertEquals((await store.release(listing)).state, "open");
      assertEquals((await store.peek(listing)).failureCount, 2);
      const both = await store.peek([listing, key, { storedKey }]);
      assertEquals(both.map(({ failureCount }) => failureCount), [2, 2, 2]);
      // All of it was about one circuit.
      assertEquals((await store.list()).map((each) => each.storedKey), [storedKey]);
      await store.reset(listing);
      assertEquals(await store.list(), []);
    });
  }

  test("a stored key that no row can have is refused", async (store) => {
    for (const storedKey of ["nul \0", "\ud800", "x".repeat(3000), 7, undefined]) {
      const error = await failureOf(() => store.getState({ storedKey } as { storedKey: string }));
      assertEquals(error instanceof TypeError, true, String(error));
    }
  });
}

/** Text of printable ASCII that looks random, equal at every run. */
function noise(length: number): string {
  let state = 12345;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    text += String.fromCharCode(33 + (state >>> 16) % 94);
  }
  return text;
}

function named(key: string): string {
  const shown = JSON.stringify(key);
  return shown.length > 60 ? `${shown.slice(0, 60)}... of ${key.length}` : shown;
}
