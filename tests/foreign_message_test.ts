import { assert, assertEquals } from "@std/assert";
import { messageOf } from "../src/foreign_message.ts";

const of = (text: string, names?: string[]) => messageOf(new Error(text), names);

Deno.test("messageOf repeats a plain message as it is", () => {
  const plain = [
    'relation "circuits" does not exist',
    'password authentication failed for user "gateway"',
    "connect ECONNREFUSED 127.0.0.1:5432",
    "connect ECONNREFUSED ::1:5432",
    "Connection terminated unexpectedly",
    "Größe 😀 ist falsch",
  ];
  for (const text of plain) assertEquals(of(text), text);
});

Deno.test("messageOf escapes control characters and marks that reorder text", () => {
  assertEquals(of("a\r\nb\tc\0d"), "a\\u000d\\u000ab\\u0009c\\u0000d");
  assertEquals(of("\x1b[31mred\x7f\x9b"), "\\u001b[31mred\\u007f\\u009b");
  assertEquals(
    of("a\u2028b\u2029c\u202ed\u2066e\u200ff"),
    "a\\u2028b\\u2029c\\u202ed\\u2066e\\u200ff",
  );
  assertEquals(of("half \ud83d pair"), "half \\ud83d pair");
});

Deno.test("messageOf cuts long messages, between code points", () => {
  assertEquals(of("x".repeat(500)), "x".repeat(500));
  assertEquals(of("x".repeat(501)), "x".repeat(500) + "…");
  assertEquals(of("x".repeat(499) + "😀😀"), "x".repeat(499) + "😀…");
  assert(of("\0".repeat(100_000)).length <= 510);
});

Deno.test("messageOf masks credentials", () => {
  const masked: [text: string, shown: string][] = [
    [
      "no route to postgres://user:hunter2@db.example/app",
      "no route to postgres://***@db.example/app",
    ],
    ["postgres://user:hun/t@er2:x@db and more", "postgres://***@db and more"],
    ["user:hunter2@db.example failed", "user:***@db.example failed"],
    [
      "postgres://db/app?user=u&password=hunter2&ssl=on",
      "postgres://db/app?user=u&password=***&ssl=on",
    ],
    ["host=db password=hunter2 port=1", "host=db password=*** port=1"],
    ["host=db password = 'hunter2 and 3' port=1", "host=db password = *** port=1"],
    ["PGPASSWORD=hunter2 is set", "PGPASSWORD=*** is set"],
    ['{"password":"hunter2","port":1}', '{"password":***,"port":1}'],
    ["{ password: 'hunter2', port: 1 }", "{ password: ***, port: 1 }"],
    ["pwd=hunter2;", "pwd=***"],
  ];
  for (const [text, shown] of masked) assertEquals(of(text), shown);
});

Deno.test("messageOf masks credentials wherever the message is cut", () => {
  const secret = "postgres://user:hunter2@db.example/app";
  for (const length of [450, 480, 499, 3950, 3970, 3985, 3999]) {
    for (const filler of ["x", " ", "/"]) {
      const text = `${filler.repeat(length)} ${secret}`;
      assert(!of(text).includes("hunter2"), `${length} of ${filler}`);
    }
  }
  assert(!of(`postgres://user:${"hunter2".repeat(1000)}@db`).includes("hunter2"));
});

Deno.test("messageOf is fast on what was made to be slow", () => {
  const start = performance.now();
  for (const piece of ["a", ":", "://", "password", "password=", ":a", "@", "'", " "]) {
    of(piece.repeat(1_000_000));
  }
  assert(performance.now() - start < 5000);
});

Deno.test("messageOf replaces names that are not to be shown", () => {
  const name = "my secret table";
  assertEquals(
    of(`permission denied for table ${name}`, [name]),
    "permission denied for table (a name of 15 characters)",
  );
  assertEquals(of("what is it", ["is"]), "what is it");
});

Deno.test("messageOf finds something to say of anything caught", () => {
  const refused = new Error("connect ECONNREFUSED ::1:5432");
  const caught: [cause: unknown, shown: string][] = [
    [new AggregateError([refused], ""), "connect ECONNREFUSED ::1:5432"],
    [Object.assign(new Error(""), { code: "ECONNRESET" }), "ECONNRESET"],
    [{ message: "from another realm" }, "from another realm"],
    [new Error(""), "an instance of Error"],
    [{ message: 5, errors: [undefined] }, "an object"],
    ["postgres://user:hunter2@db", "a string of 26 characters"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
  ];
  for (const [cause, shown] of caught) assertEquals(messageOf(cause), shown);
});
