import { assert, assertEquals } from "@std/assert";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { closureOf } from "../../scripts/npm/modules.ts";
import { ROOT } from "../../scripts/workspace.ts";

const APPS = {
  "## Hono on Deno": "hono_deno",
  "## Hono on Node": "hono_node",
  "## Express on Node": "express_node",
  "## Bun": "bun_serve",
  "## Stoma on Node": "stoma_node",
  "## Cloudflare Workers": "workers",
};

Deno.test("the apps of the docs are the files of which the tests run two instances", async () => {
  const docs = await Deno.readTextFile(new URL("docs/apps.md", ROOT));
  const files: string[] = [];
  for await (const { name } of Deno.readDir(new URL("tests/examples", ROOT))) files.push(name);
  assertEquals(Object.values(APPS).map((name) => `${name}.ts`).toSorted(), files.toSorted());
  for (const [heading, name] of Object.entries(APPS)) {
    const section = docs.slice(docs.indexOf(`\n${heading}\n`));
    const [, block] = /^```ts ignore\n([^]*?)^```$/m.exec(section) ?? [];
    const file = new URL(`tests/examples/${name}.ts`, ROOT);
    assertEquals(block, await Deno.readTextFile(file), heading);
  }
});

Deno.test("every entry point says what it is for", async () => {
  for (const [entry, path] of Object.entries((await readManifest()).exports)) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    const [comment = ""] = /^\/\*\*[^]*?\*\//.exec(source) ?? [];
    assert(comment.includes(" * @module"), `${entry} has no doc comment with @module`);
    assert(comment.includes(" * @example"), `${entry} has no example`);
  }
});

Deno.test("JSR gets the modules that the entry points reach, the documents, and nothing else", async () => {
  const modules = await closureOf(ROOT, Object.values((await readManifest()).exports));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, output);
  const published = [...output.matchAll(/^ *(file:\/\/\S+) \(.+\)$/gm)].map(([, url = ""]) =>
    url.slice(ROOT.href.length)
  );
  assertEquals(
    published.toSorted(),
    [...modules, "CHANGELOG.md", "LICENSE", "README.md", "deno.json"].toSorted(),
  );
});
