/** `docs/correctness.md` names tests that exist. */

import { assert, assertEquals } from "@std/assert";

const PAGE = new URL("../docs/correctness.md", import.meta.url);

/** A test that a page names: a link whose text is its name in quotes. */
interface NamedTest {
  readonly name: string;
  readonly path: string;
}

/** The links of a page into the folder of tests, with or without the name of a test. */
function linksOf(page: string): { text: string; path: string }[] {
  const links = page.matchAll(/\[([^\]]*)\]\((\.\.\/tests\/[^)\s]*)\)/g);
  return Array.from(links, ([, text, path]) => ({ text: text!.replace(/\s+/g, " "), path: path! }));
}

function testsIn(page: string): NamedTest[] {
  return linksOf(page).flatMap(({ text, path }) => {
    const name = /^"(.*)"$/.exec(text)?.[1];
    return name === undefined ? [] : [{ name, path }];
  });
}

/**
 * Whether the source of a test file has a test of that name: a whole literal that a call or a table of tests
 * begins with. In the name of a template, … stands for what is filled in, and for all behind it at its end.
 */
function hasTest(source: string, name: string): boolean {
  const begin = String.raw`(?:\(\s*|\bname:\s*|^\s*)`;
  const parts = name.split("…").map((part) => RegExp.escape(part));
  const literal = parts.length === 1
    ? `(["\`])${parts[0]}\\1\\s*[,:]`
    : "`" + parts.join("\\$\\{[^`]*") + "`";
  return new RegExp(begin + literal, "m").test(source);
}

async function problemsOf(page: string): Promise<string[]> {
  const problems: string[] = [];
  for (const { text, path } of linksOf(page)) {
    const source = await Deno.readTextFile(new URL(path, PAGE)).catch(() => undefined);
    if (source === undefined) problems.push(`${path} does not exist`);
    else if (/^"/.test(text)) {
      const name = text.slice(1, -1);
      if (!hasTest(source, name)) problems.push(`${path} has no test "${name}"`);
    }
  }
  return problems;
}

Deno.test("docs/correctness.md names tests that exist", async () => {
  const page = await Deno.readTextFile(PAGE);
  assertEquals(await problemsOf(page), []);
  const named = testsIn(page);
  assert(named.length > 150, `${named.length} tests`);
  // A name that is hardly more than … would fit other templates.
  assertEquals(named.filter(({ name }) => name.replaceAll("…", "").length < 9), []);
});

Deno.test("each promise of docs/correctness.md names a test", async () => {
  const page = await Deno.readTextFile(PAGE);
  const promises = page.slice(0, page.indexOf("## The fault suite")).split(/^- /m).slice(1);
  assert(promises.length > 100, `${promises.length} promises`);
  assertEquals(promises.filter((promise) => testsIn(promise).length === 0), []);
});

Deno.test("a link to a file or a test that does not exist is a problem", async () => {
  const link = (name: string, path = "key_test.ts") => problemsOf(`[${name}](../tests/${path})`);
  assertEquals(await link('"storedKey finds the same row through every driver and instance"'), []);
  assertEquals(await link("keys"), []);
  for (const name of ["finds the same row", "storedKey finds the same row", "storedKey", "a…"]) {
    assertEquals(await link(`"${name}"`), [`../tests/key_test.ts has no test "${name}"`]);
  }
  assertEquals(await link("keys", "made_up_test.ts"), ["../tests/made_up_test.ts does not exist"]);
});

Deno.test("hasTest finds tests however they are written, and no other text", () => {
  assert(hasTest('Deno.test("one", () => {});', "one"));
  assert(hasTest('Deno.test(\n  "one",\n  () => {});', "one"));
  assert(hasTest('Deno.test({ name: "one", fn });', "one"));
  assert(hasTest('testScenarios({\n  "one": {', "one"));
  assert(hasTest("Deno.test(`one of ${many}`, () => {});", "one of …"));
  assert(hasTest("Deno.test(`${one} of ${many} is`, () => {});", "… of … is"));
  assert(!hasTest("Deno.test(`${one} of ${many} is`, () => {});", "… of many …"));
  assert(!hasTest("Deno.test(`one of ${many}`, () => {});", "one of"));
  assert(!hasTest('// one, "one", and one', "one"));
  assert(!hasTest('assertEquals(text, "one");', "one"));
});
