import { assertEquals, assertThrows } from "@std/assert";
import { parseTableName, quoteLiteral } from "../../src/postgres/identifier.ts";

const quoted = (name: string) => parseTableName("test", name).quoted;

Deno.test("parseTableName quotes names literally and in their case", () => {
  assertEquals(quoted("circuits"), '"circuits"');
  assertEquals(quoted("MyCircuits"), '"MyCircuits"');
  assertEquals(quoted("ops.Circuits"), '"ops"."Circuits"');
  assertEquals(quoted('a"b'), '"a""b"');
  assertEquals(quoted("select"), '"select"');
  assertEquals(quoted("größe 1"), '"größe 1"');
});

Deno.test("parseTableName takes parts in double quotes as SQL does", () => {
  assertEquals(quoted('"a.b"'), '"a.b"');
  assertEquals(quoted('"a.b"."c""d"'), '"a.b"."c""d"');
  assertEquals(quoted('ops."x.y"'), '"ops"."x.y"');
});

Deno.test("parseTableName counts the 63 bytes of UTF-8 per part", () => {
  assertEquals(quoted("x".repeat(63)).length, 65);
  assertEquals(quoted(`${"s".repeat(63)}.${"t".repeat(63)}`).length, 131);
  assertThrows(() => quoted("x".repeat(64)), RangeError, "63 bytes");
  assertThrows(() => quoted("ü".repeat(32)), RangeError, "63 bytes");
  assertThrows(() => quoted(`ops.${"x".repeat(64)}`), RangeError, "63 bytes");
});

Deno.test("parseTableName refuses what PostgreSQL cannot hold, with reason and value", () => {
  for (const name of ["", ".", "a.", ".a", "a..b", '""', 'a.""']) {
    assertThrows(() => quoted(name), RangeError, "empty part");
  }
  for (const name of ["a.b.c", '"a"."b"."c"']) {
    assertThrows(() => quoted(name), RangeError, "must be a table or schema.table");
  }
  for (const name of ['"a', '"a"b', '"', '"a"".b']) {
    assertThrows(() => quoted(name), RangeError, "does not end in a quote");
  }
  assertThrows(() => quoted("a\0b"), RangeError, "NUL");
  assertThrows(() => quoted("a\ud800"), RangeError, "lone surrogate");
});

Deno.test("parseTableName refuses a connection string and shows nothing of it", () => {
  const secrets = [
    "postgres://user:hunter2@db.example/app",
    'ops."postgres://user:hunter2@db.example/app"',
    '"postgresql://db.example/app?password=hunter2"',
    "user:hunter2@db.example/app",
    "host=db.example password=hunter2",
    "PASSWORD = 'hunter2'",
    "dbname=hunter2",
  ];
  for (const name of secrets) {
    const { message } = assertThrows(() => parseTableName("migrate", name), RangeError);
    assertEquals(
      message,
      'Cannot migrate: "table" must be the name of a table, not a connection string: pass that to ' +
        `the driver, received a string of ${name.length} characters`,
    );
  }
});

Deno.test("parseTableName shows plain names only", () => {
  const { shown, hidden } = parseTableName("test", "ops.Breakers_2$");
  assertEquals([shown, hidden], ['"ops"."Breakers_2$"', []]);
  for (const name of ["with space", "größe", "a=b", "x:y", 'ops."a.b"', "1st", "\u001b[31m"]) {
    const table = parseTableName("test", name);
    assertEquals(table.shown, `(a name of ${name.length} characters)`);
    assertEquals(table.hidden.length, 1);
  }
});

Deno.test("parseTableName names what stands beside the table, in the same schema", () => {
  const names = parseTableName("test", 'ops."a.b"');
  const { changes, instances, epoch, versions, overview, timeline } = names;
  assertEquals(
    [changes, instances, epoch, versions, overview, timeline].map(({ quoted }) => quoted),
    [
      '"ops"."a.b_changes"',
      '"ops"."a.b_instances"',
      '"ops"."a.b_epoch"',
      '"ops"."a.b_versions"',
      '"ops"."a.b_overview"',
      '"ops"."a.b_timeline"',
    ],
  );
  assertEquals(parseTableName("test", "it's").changes.literal, `'"it''s_changes"'`);
});

/** The names of everything that belongs to a table, without quotes. */
function allNames(name: string): string[] {
  const { quoted, changes, instances, epoch, versions, overview, timeline } = parseTableName(
    "test",
    name,
  );
  return [
    quoted,
    ...[changes, instances, epoch, versions, overview, timeline].map((it) => it.quoted),
  ]
    .map((text) => text.slice(1, -1));
}

Deno.test("parseTableName cuts long names to 63 bytes of whole letters", () => {
  for (const letter of ["x", "ü", "€", "😀"]) {
    for (let bytes = 48; bytes <= 63; bytes++) {
      const size = new TextEncoder().encode(letter).length;
      const name = letter.repeat(Math.floor(bytes / size)) + "y".repeat(bytes % size);
      const names = allNames(name);
      assertEquals(new Set(names).size, 7, name);
      for (const each of names) {
        assertEquals(new TextEncoder().encode(each).length <= 63, true, each);
        assertEquals(each.includes("\ufffd") || /\p{Surrogate}/u.test(each), false, each);
      }
    }
  }
  // What fits is not cut.
  assertEquals(allNames("n".repeat(53))[2], `${"n".repeat(53)}_instances`.slice(0, 63));
  assertEquals(allNames("n".repeat(54))[2]!.startsWith("n".repeat(44)), true);
});

Deno.test("parseTableName gives no two long names a common companion", () => {
  const seen = new Map<string, string>();
  for (let i = 0; i < 2000; i++) {
    const name = `${"long_name_".repeat(5)}${i.toString().padStart(13, "0")}`;
    for (const each of allNames(name)) {
      assertEquals(seen.get(each), undefined, `${name} and ${seen.get(each)}`);
      seen.set(each, name);
    }
  }
});

Deno.test("parseTableName refuses what is not a string with a TypeError", () => {
  for (const name of [null, 7, {}, ["a"], undefined]) {
    assertThrows(
      () => parseTableName("create store", name),
      TypeError,
      'Cannot create store: "table" must be a string, received',
    );
  }
});

Deno.test("quoteLiteral reads the same whatever standard_conforming_strings says", () => {
  assertEquals(quoteLiteral("it's"), "'it''s'");
  assertEquals(quoteLiteral("a\\b'c"), " E'a\\\\b''c'");
});
