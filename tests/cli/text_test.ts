import { assert, assertEquals } from "@std/assert";
import {
  fittedKey,
  fittedText,
  jsonLine,
  printable,
  shellQuoted,
  widthOf,
} from "../../src/cli/text.ts";
import { HOSTILE_KEYS } from "./hostile_keys.ts";
import { wordsOf } from "./shell.ts";

const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/u;

Deno.test("shellQuoted() is one word of a shell that means the text", async () => {
  // A command line can hold neither NUL nor a lone surrogate.
  const texts = HOSTILE_KEYS.filter((key) => !/\0|\p{Surrogate}/u.test(key));
  const words = await wordsOf(texts.map(shellQuoted).join(" "));
  assertEquals(words.length, texts.length);
  for (const [i, text] of texts.entries()) assert(words[i] === text, shellQuoted(text));
});

Deno.test("shellQuoted(), printable(), fitted texts and JSON hold nothing that harms a terminal", () => {
  for (const key of HOSTILE_KEYS) {
    for (
      const shown of [
        shellQuoted(key),
        printable(key),
        fittedKey(key, 20),
        fittedText(key, 20),
        jsonLine({ key }),
      ]
    ) {
      assert(!UNSAFE.test(shown), JSON.stringify(shown));
    }
    assertEquals(JSON.parse(jsonLine({ key })), { key });
  }
});

Deno.test("shellQuoted() leaves plain keys as they are and is readable elsewhere", () => {
  assertEquals(
    ["payments", "/api/v1", "a:b@c", "-x", "=x", "", "a b", "it's", "a\nb", "~sha256:0", "$HOME!"]
      .map(
        shellQuoted,
      ),
    [
      "payments",
      "/api/v1",
      "a:b@c",
      "'-x'",
      "'=x'",
      "''",
      "'a b'",
      "'it'\\''s'",
      "$'a\\nb'",
      "'~sha256:0'",
      "'$HOME!'",
    ],
  );
  assertEquals(shellQuoted("\u202ea!\\"), "$'\\342\\200\\256a\\041\\\\'");
});

Deno.test("printable() escapes what would act on a terminal, and nothing else", () => {
  assertEquals(
    printable("a\n\x1b[31m\x9b\u202e\u{e0001} ä 決"),
    "a\\n\\x1b[31m\\x9b\\u202e\\u{e0001} ä 決",
  );
});

Deno.test("widthOf() counts columns: wide letters take two, combining ones none", () => {
  assertEquals(["abc", "決済", "e\u0301", "🚀", "ｱ", "한", "אב"].map(widthOf), [
    3,
    4,
    1,
    2,
    1,
    2,
    2,
  ]);
});

Deno.test("fittedKey() fits, whatever the key, and keeps both ends", () => {
  for (const key of HOSTILE_KEYS) {
    for (const columns of [12, 17, 40]) {
      assert(widthOf(fittedKey(key, columns)) <= columns, `${columns}: ${JSON.stringify(key)}`);
    }
  }
  assertEquals(fittedKey("/api/orders/12345", 12), "'/api/…2345'");
  assertEquals(fittedKey("/api/orders", 12), "/api/orders");
});

Deno.test("fittedText() fits and cuts no escape in two", () => {
  assertEquals(fittedText("ab\x1bcd", 5), "ab…");
  assertEquals(fittedText("決済決済", 5), "決済…");
  assertEquals(fittedText("abcde", 5), "abcde");
});
