import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { dntOptions, TESTS } from "../../scripts/npm/emit_dnt.ts";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { closureOf } from "../../scripts/npm/modules.ts";
import { specify } from "../../scripts/npm/specification.ts";
import { ROOT } from "../../scripts/workspace.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";

// Not a file, because a check of all files would include it.
const OPTIONS = `
import type { BuildOptions } from "@deno/dnt";
import type { DntOptions } from "./scripts/npm/emit_dnt.ts";

export const accept = (options: DntOptions): BuildOptions => options;
// @ts-expect-error The types of dnt are known, not any.
export const refuse: BuildOptions = { entryPoints: 1 };
`;

Deno.test("dntOptions() names every entry point of deno.json, by files that there are", async () => {
  const manifest = await readManifest();
  const specification = await specify(manifest);
  const { entryPoints, rootTestDir, testPattern } = dntOptions({
    manifest,
    specification,
    folder: "/nowhere",
  });
  assertEquals(entryPoints.map(({ name }) => name), Object.keys(manifest.exports));
  for (const path of [...entryPoints.map((it) => it.path), rootTestDir + testPattern]) {
    assert((await Deno.stat(path)).isFile, path);
  }
});

Deno.test("the tests that dnt runs on Node use nothing of Deno but Deno.test", async () => {
  for (const path of await closureOf(ROOT, [TESTS])) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    const names = [...source.matchAll(/\bDeno\.(\w+)/g)].map(([, name]) => name);
    assertEquals(names.filter((name) => name !== "test"), [], path);
  }
});

/** Lines that dnt would change to use a module of its own: its shim of `globalThis`. */
function shimmedLines(source: string): string[] {
  const file = ts.createSourceFile("module.ts", source, ts.ScriptTarget.Latest, true);
  const lines = source.split("\n");
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!ts.isIdentifier(node) || !["globalThis", "window"].includes(node.text)) return;
    const { parent } = node;
    // dnt leaves `globalThis.name` alone unless it has a shim of that name.
    if (ts.isPropertyAccessExpression(parent)) {
      if (parent.name === node || parent.name.text !== "Deno") return;
    }
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    if (lines[line - 1]?.trim() !== "// dnt-shim-ignore") found.push(lines[line]!.trim());
  };
  visit(file);
  return found;
}

Deno.test("shimmedLines() finds what dnt would change, and takes its comment", () => {
  const lines = [
    "const a = globalThis as { b: string };",
    "type C = typeof globalThis extends { c: string } ? 1 : 2;",
    'const d = Reflect.get(globalThis, "Deno");',
    "const e = globalThis.Deno;",
    "const f = window;",
  ];
  for (const line of lines) {
    assertEquals(shimmedLines(`${line}\n`), [line]);
    assertEquals(shimmedLines(`// dnt-shim-ignore\n${line}\n`), []);
    assertEquals(shimmedLines(`// dnt-shim-ignore\n\n${line}\n`), [line]);
  }
  assertEquals(shimmedLines("globalThis.fetch();\n// globalThis\nconst a = { globalThis: 1 };"), [
    "const a = { globalThis: 1 };",
  ]);
});

Deno.test("no module of the package makes dnt add a shim", async () => {
  const { modules } = await specify(await readManifest());
  const found: string[] = [];
  for (const path of modules) {
    const lines = shimmedLines(await Deno.readTextFile(new URL(path, ROOT)));
    found.push(...lines.map((line) => `${path}: ${line}`));
  }
  assertEquals(found, []);
});

Deno.test("dnt adds no polyfills, since its target has none, and the sources need no older one", async () => {
  const manifest = await readManifest();
  const specification = await specify(manifest);
  const { compilerOptions } = dntOptions({ manifest, specification, folder: "/nowhere" });
  assertEquals(compilerOptions.target, "Latest");
  assert(compilerOptions.lib.includes("ESNext.Collection"), "the tests use methods of sets");
  const compile = (source: string, target: ts.ScriptTarget) =>
    ts.transpileModule(source, { compilerOptions: { target, module: ts.ModuleKind.ESNext } })
      .outputText;
  const newer: string[] = [];
  for (const path of specification.modules) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    const [oldest, newest] = [ts.ScriptTarget.ES2022, ts.ScriptTarget.ESNext].map((target) =>
      compile(source, target)
    );
    if (oldest !== newest) newer.push(path);
  }
  assertEquals(newer, [], "these have syntax that Node 20 does not know");
  const using = "using a = b();\n";
  assert(compile(using, ts.ScriptTarget.ES2022) !== compile(using, ts.ScriptTarget.ESNext));
});

Deno.test({
  name: `DntOptions are options of dnt${REACHABLE ? "" : " (ignored: JSR is not reachable)"}`,
  ignore: !REACHABLE,
  async fn() {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-lock", "--check", "-"],
      cwd: fileURLToPath(ROOT),
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const [{ success, stderr }] = await Promise.all([
      child.output(),
      ReadableStream.from([new TextEncoder().encode(OPTIONS)]).pipeTo(child.stdin),
    ]);
    assert(success, new TextDecoder().decode(stderr));
  },
});
