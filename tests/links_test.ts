import { assert, assertEquals } from "@std/assert";
import { REPOSITORY } from "../scripts/npm/manifest.ts";
import { anchorsOf, linksOf } from "./support/markdown.ts";

const ROOT = new URL("../", import.meta.url);

/** A link to a file of this repository as its web site shows it. */
const ON_THE_SITE = new RegExp(`^${REPOSITORY}/(?:blob|tree|raw)/main/`);

/** What the documents may lead to: a file's text, `""` for a folder, `undefined` where nothing is. */
type Read = (path: string) => Promise<string | undefined>;

/** The links of a document that lead nowhere. Addresses of other sites are not asked for. */
async function brokenLinks(path: string, markdown: string, read: Read): Promise<string[]> {
  const broken: string[] = [];
  for (const { line, target } of linksOf(markdown)) {
    const problem = await problemOf(path, markdown, target.replace(ON_THE_SITE, "/"), read);
    if (problem !== undefined) broken.push(`${path}:${line}: ${target} ${problem}`);
  }
  return broken;
}

async function problemOf(
  path: string,
  markdown: string,
  target: string,
  read: Read,
): Promise<string | undefined> {
  if (/^(?:https?|mailto):/.test(target)) return;
  const [file = "", anchor] = target.split("#");
  const base = new URL(path, ROOT);
  const url = file.startsWith("/") ? new URL(`.${file}`, ROOT) : new URL(file, base);
  if (!url.href.startsWith(ROOT.href)) return "leads out of the repository";
  const text = file === ""
    ? markdown
    : await read(decodeURIComponent(url.href.slice(ROOT.href.length)));
  if (text === undefined) return "leads to no file";
  if (anchor !== undefined && !anchorsOf(text).has(decodeURIComponent(anchor))) {
    return "leads to no heading";
  }
}

async function readFromRoot(path: string): Promise<string | undefined> {
  const url = new URL(path, ROOT);
  try {
    return (await Deno.stat(url)).isDirectory ? "" : await Deno.readTextFile(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** All documents of the repository, and the modules, below the root. */
async function filesOf(folder: string, ends: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) found.push(...await filesOf(`${folder}${name}/`, ends));
    else if (ends.test(name)) found.push(folder + name);
  }
  return found;
}

async function documents(): Promise<string[]> {
  const found = await filesOf("docs/", /\.md$/);
  for await (const { name } of Deno.readDir(ROOT)) if (name.endsWith(".md")) found.push(name);
  return found.toSorted();
}

Deno.test("every link between the documents leads to a file, and to a heading in it", async () => {
  const paths = await documents();
  assert(paths.includes("README.md") && paths.includes("docs/rules.md"), "none were found");
  const broken: string[] = [];
  for (const path of paths) {
    broken.push(...await brokenLinks(path, (await readFromRoot(path))!, readFromRoot));
  }
  assertEquals(broken, []);
});

Deno.test("every page of docs/ stands in the list of pages", async () => {
  const index = (await readFromRoot("docs/README.md"))!;
  const listed = new Set(linksOf(index).map(({ target }) => target.split("#")[0]));
  const pages = (await filesOf("docs/", /\.md$/)).map((path) => path.slice("docs/".length));
  assertEquals(pages.filter((page) => page !== "README.md" && !listed.has(page)), []);
});

/** A declaration at the top of a module, for other modules or for itself. */
const DECLARATION =
  /^(export )?(?:abstract |async )?(?:class|function|interface|type|const) (\w+)/gm;
const DOC_LINK = /\{@link(?:code|plain)?\s+([^\s}|]+)/g;

function namesIn(source: string, isExported: boolean): string[] {
  return [...source.matchAll(DECLARATION)]
    .filter(([, exported]) => !isExported || exported !== undefined)
    .map(([, , name = ""]) => name);
}

/** What doc comments link to although neither this module nor an export of another has the name. */
function brokenDocLinks(path: string, source: string, declared: ReadonlySet<string>): string[] {
  const known = new Set([...declared, ...namesIn(source, false)]);
  return [...source.matchAll(DOC_LINK)]
    .map(([, name = ""]) => name)
    .filter((name) => !known.has(name.split(/[.#]/)[0]!) && !name.startsWith("https://"))
    .map((name) => `${path}: {@link ${name}}`);
}

Deno.test("the docs of exports link to exports, and to documents that exist", async () => {
  const sources = new Map<string, string>();
  for (const path of ["mod.ts", ...await filesOf("src/", /\.ts$/)]) {
    sources.set(path, (await readFromRoot(path))!);
  }
  const declared = new Set([...sources.values()].flatMap((source) => namesIn(source, true)));
  assert(declared.has("PostgresCircuitBreakerStore"), "no declarations were found");
  const broken: string[] = [];
  for (const [path, source] of sources) {
    broken.push(...brokenDocLinks(path, source, declared));
    for (const [comment] of source.matchAll(/\/\*\*[^]*?\*\//g)) {
      const markdown = comment.replace(/^[ \t]*\* ?/gm, "");
      broken.push(...await brokenLinks(path, markdown, readFromRoot));
    }
  }
  assertEquals(broken, []);
});

Deno.test("every kind of broken link raises an alarm", async () => {
  const files: Record<string, string> = {
    "docs/a.md": '# One `two.three()`: four\n\n## Same\n\n## Same\n\n<a id="here"></a>\n',
    "docs/picture.svg": "<svg/>",
    "docs": "",
    "src/b.ts": "",
  };
  const read: Read = (path) => Promise.resolve(files[path.replace(/\/$/, "")]);
  const broken = [
    "[a](b.md)",
    "[a](a.md#two)",
    "[a](a.md#same-2)",
    "[a](#none)\n\n# Other",
    "text\n[a\nb](b.md)",
    "![a](picture.png)",
    '<img src="picture.png">',
    '<a href="b.md">b</a>',
    "[a]: b.md",
    "[a](../../etc/hosts)",
    "[a](/src/c.ts)",
    "| [a](b.md) |",
    `[a](${REPOSITORY}/blob/main/docs/b.md)`,
    `[a](${REPOSITORY}/blob/main/docs/a.md#two)`,
    "[![a](picture.png)](a.md)",
    "[![a](picture.svg)](b.md)",
    '[a](b.md "a title")',
  ];
  for (const markdown of broken) {
    assertEquals((await brokenLinks("docs/c.md", markdown, read)).length, 1, markdown);
  }
  const sound = [
    "[a](a.md) [a](a.md#one-twothree-four) [a](a.md#same) [a](a.md#same-1) [a](a.md#here)",
    "[a](#a-heading-of-it)\n\n# A heading of *it*",
    "![a](picture.svg) [a](../src/b.ts) [a](/src/b.ts) [a](../docs/)",
    `[a](${REPOSITORY}/blob/main/docs/a.md#same) [a](${REPOSITORY})`,
    "[a](https://example.com/b.md#c) <https://example.com> [a](mailto:a@example.com)",
    "`[a](b.md)`",
    "```md\n[a](b.md)\n```",
    "<!-- [a](b.md) -->",
  ];
  for (const markdown of sound) {
    assertEquals(await brokenLinks("docs/c.md", markdown, read), [], markdown);
  }
  const declared = new Set(["Store"]);
  assertEquals(brokenDocLinks("a.ts", "{@link Other} {@linkcode Other.a}", declared).length, 2);
  assertEquals(brokenDocLinks("a.ts", "{@link Store} {@link Store.a|it}", declared), []);
  assertEquals(brokenDocLinks("a.ts", "const MAX = 1;\n/** {@link MAX} */", declared), []);
});
