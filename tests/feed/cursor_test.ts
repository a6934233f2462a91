import { assert, assertEquals, assertFalse, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { LogCursor } from "../../src/ports.ts";
import { cursorsOf, decodeCursor, encodeCursor, type LogPlace } from "../../src/feed/cursor.ts";

const RUN = "1700000000000000.16389.2b1f2a6e-7f6f-4c4e-9a52-0a0c5b9a2f11";

function moment(snapshot: string, version: number): LogCursor {
  return { snapshot, version, run: RUN };
}

/** A snapshot with this many running transactions. */
function busy(count: number, xmin: bigint): string {
  const running = Array.from({ length: count }, (_, i) => xmin + BigInt(i * 3));
  return `${xmin}:${running.at(-1)! + 1n}:${running.join()}`;
}

const PLACES: Record<string, LogPlace> = {
  "without a beginning": { from: undefined, to: moment("750:750:", 12), version: 7 },
  "with both moments": {
    from: moment("750:751:750", 3),
    to: moment("751:760:753,759", 12),
    version: 12,
  },
  "of versions and ids of any size": {
    from: moment(`${2n ** 63n}:${2n ** 64n - 1n}:`, 0),
    to: moment(`1:${2n ** 64n - 1n}:1,${2n ** 64n - 2n}`, Number.MAX_SAFE_INTEGER),
    version: Number.MAX_SAFE_INTEGER,
  },
  "of 2,000 running transactions": {
    from: moment(busy(2000, 4_000_000_000n), 3),
    to: moment(busy(2000, 4_000_010_000n), 12),
    version: 12,
  },
};

for (const [name, place] of Object.entries(PLACES)) {
  Deno.test(`a cursor ${name} is read as it was written`, () => {
    const cursor = encodeCursor(place);
    assertEquals(decodeCursor("watch circuits", cursor), place);
    assertMatch(cursor, /^[A-Za-z0-9._-]+$/);
    assertEquals(encodeURIComponent(cursor), cursor);
    assertEquals(cursorsOf(place.from, place.to)(place.version), cursor);
  });
}

Deno.test("cursors are short", () => {
  const lengths = Object.values(PLACES).map((place) => encodeCursor(place).length);
  assert(lengths[0]! < 110 && lengths[1]! < 120, `${lengths}`);
  assert(lengths[3]! < 10_000, `${lengths}`);
});

Deno.test("every snapshot that a server can write survives", () => {
  const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: 2n ** 64n - 2n }), { maxLength: 8 });
  fc.assert(fc.property(ids, fc.maxSafeNat(), fc.maxSafeNat(), (unordered, seen, version) => {
    const running = unordered.toSorted((a, b) => (a < b ? -1 : 1));
    const [xmin, xmax] = [running[0] ?? 5n, (running.at(-1) ?? 4n) + 1n];
    const place = { from: undefined, to: moment(`${xmin}:${xmax}:${running}`, seen), version };
    assertEquals(decodeCursor("watch circuits", encodeCursor(place)), place);
  }));
});

/** Texts that look like cursors, each wrong in one way. */
const WRONG: string[] = [
  "",
  "1",
  "api",
  "postgres://user:secret@localhost/app",
  "1.cg..c-ku-0.7.",
  "2.cg..c-ku-0.7",
  "01.cg..c-ku-0.7",
  "1.cg..c-ku-0.",
  "1.cg..c-ku-0.07",
  "1.cg..c-ku-0.-7",
  "1.cg..c-ku-0.7 ",
  " 1.cg..c-ku-0.7",
  "1.cg..c-ku-0.G",
  "1.cg..c-ku-0.zzzzzzzzzzz",
  "1.cg..c-ku.7",
  "1.cg..c.7",
  "1.cg...7",
  "1.cg..c-0-0.7",
  "1.cg..c-ku-0-0.7",
  "1.cg..c-ku-5-5.7",
  "1.cg..c-ku-5-1-0.7",
  "1.cg..c-ku-5--1.7",
  "1.cg..c-ku-zzzzzzzzzzzzz.7",
  "1.cg..c-ku-zzzzzzzzzzzzzz.7",
  "1.cg.c-ku.c-ku-0.7",
  "1.cg.0.c-ku-0.7",
  "1.cg==..c-ku-0.7",
  "1.c..c-ku-0.7",
  "1.ch..c-ku-0.7",
  "1.AA..c-ku-0.7",
  "1.4pyT..c-ku-0.7",
  `1.${btoa("r".repeat(600))}..c-ku-0.7`,
  "1.cg..c-ku-0.7".padEnd(3_000_000, "0"),
  // An id that is too high, and a run that is too long or holds other characters.
  encodeCursor({ from: undefined, to: moment(`1:${2n ** 64n}:`, 12), version: 7 }),
  ...["r".repeat(501), "r\n", "\x7f"].map((run) =>
    encodeCursor({ from: undefined, to: { ...moment("750:750:", 12), run }, version: 7 })
  ),
];

Deno.test("a cursor may hold the highest id, and a run of any printable text up to its bound", () => {
  for (const run of ["", " ~".repeat(250), "???>>>", "r"]) {
    const to = { ...moment(`1:${2n ** 64n - 1n}:`, 12), run };
    assertEquals(decodeCursor("watch circuits", encodeCursor({ from: to, to, version: 7 })).to, to);
  }
});

Deno.test("a text that is no cursor is refused, and its content stays out of the message", () => {
  assertEquals(decodeCursor("watch circuits", "1.cg..c-ku-0.7").to.snapshot, "750:750:");
  for (const text of WRONG) {
    const error = assertThrows(
      () => decodeCursor("read history", text),
      RangeError,
      undefined,
      text,
    );
    assertMatch(
      error.message,
      /^Cannot read history: "after" must be the cursor of a change, received (a|an empty) string/,
    );
    assertFalse(error.message.includes("secret"));
  }
});

Deno.test("a cursor with one character changed is refused, or is another one in the same form", () => {
  const cursor = encodeCursor(PLACES["with both moments"]!);
  for (let i = 0; i < cursor.length; i++) {
    for (const other of "0a.-_ %Z") {
      const changed = cursor.slice(0, i) + other + cursor.slice(i + 1);
      try {
        assertEquals(encodeCursor(decodeCursor("watch circuits", changed)), changed);
      } catch (error) {
        assert(error instanceof RangeError, String(error));
        assertMatch(error.message, /^Cannot watch circuits: "after" must be/);
      }
    }
  }
});
