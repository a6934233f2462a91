import { assertEquals, assertRejects } from "@std/assert";
import { pathToFileURL } from "node:url";
import { addLibraries, finishDeclarations } from "../../scripts/npm/declarations.ts";
import { readManifest } from "../../scripts/npm/manifest.ts";
import {
  closureOf,
  declaredClosureOf,
  importsOf,
  replaceImports,
} from "../../scripts/npm/modules.ts";
import { toJavaScript, transplant } from "../../scripts/npm/transplant.ts";
import { ROOT } from "../../scripts/workspace.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";

const PROGRAM = `// import "./comment.ts";
import { a } from "./a.ts";
import type { B } from '../b.ts';
export * from "./a.ts";
export type { C } from "./c.ts";
const text = 'import "./text.ts"';
const lazy = () => import("./lazy.ts");
`;

Deno.test("importsOf() finds every specifier and nothing that looks like one", () => {
  const found = importsOf(PROGRAM);
  assertEquals(found.map(({ specifier }) => specifier), [
    "./a.ts",
    "../b.ts",
    "./a.ts",
    "./c.ts",
    "./lazy.ts",
  ]);
  for (const { specifier, start } of found) {
    assertEquals(PROGRAM.slice(start, start + specifier.length), specifier);
  }
});

Deno.test("importsOf() finds what a script requires", () => {
  assertEquals(
    importsOf('"use strict";\nconst a_js_1 = require("./a.js");\n').map((it) => it.specifier),
    ["./a.js"],
  );
});

Deno.test("replaceImports() leaves the rest of the text alone", () => {
  const replaced = replaceImports(
    PROGRAM,
    (specifier) => specifier === "./a.ts" ? "a" : undefined,
  );
  assertEquals(replaced, PROGRAM.replaceAll('from "./a.ts"', 'from "a"'));
});

Deno.test("closureOf() follows imports of types as well", async () => {
  const found = await closureOf(ROOT, ["./src/adapters/pglite.ts"]);
  assertEquals(found.includes("src/types.ts"), true);
  assertEquals(found.includes("src/store.ts"), false);
  assertEquals(found, found.toSorted());
});

Deno.test("addLibraries() names the libraries of what declarations use, not of what they say", () => {
  assertEquals(
    addLibraries("export declare const a: number;\n"),
    "export declare const a: number;\n",
  );
  assertEquals(
    addLibraries("/** AsyncDisposable */\nexport {};\n"),
    "/** AsyncDisposable */\nexport {};\n",
  );
  const declarations = "export declare class A { [Symbol.asyncDispose](): Promise<void>; }\n";
  assertEquals(
    addLibraries(declarations),
    `/// <reference lib="esnext.disposable" />\n${declarations}`,
  );
});

Deno.test("finishDeclarations() drops the comment about the module, and no other", () => {
  const about = "/**\n * About it, and an example.\n *\n * @module\n */\n";
  const other = "/** About a. */\nexport declare const a: number;\n";
  assertEquals(finishDeclarations(about + other), other);
  assertEquals(finishDeclarations(other + about), other + about);
  const first = "/** About a. */\nexport declare const a: number; // @module\n";
  assertEquals(finishDeclarations(first), first);
});

Deno.test("declaredClosureOf() finds what types name, and not what only code uses", async () => {
  await using folder = await GuardedFolder.create();
  const files = {
    "entry.ts": 'import { a } from "./code.ts";\nimport { B } from "./base.ts";\n' +
      'import type { T } from "./type.ts";\nimport type { P } from "./private.ts";\n' +
      "export class C extends B { #p: P | undefined; run(): T { return a(); } }\n" +
      'export * from "./again.ts";\n',
    "code.ts": "export const a = (): never => { throw 1; };\n",
    "base.ts": "export class B {}\n",
    "type.ts": "export interface T { a: string }\n",
    "private.ts": "export interface P { a: string }\n",
    "again.ts": "export const again: number = 1;\n",
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder.path}/${name}`, text);
  }
  const root = new URL(`file://${folder.path}/`);
  assertEquals(await closureOf(root, ["entry.ts"]), Object.keys(files).toSorted());
  assertEquals(await declaredClosureOf(root, ["entry.ts"]), [
    "again.ts",
    "base.ts",
    "entry.ts",
    "type.ts",
  ]);
});

Deno.test("toJavaScript() leaves no types and no syntax that Node 20 lacks", () => {
  const script = toJavaScript(
    'import type { A } from "./a.ts";\nawait using a: A = open();\n',
    "a.ts",
  );
  assertEquals(/await using|: A|a\.ts/.test(script), false, script);
});

Deno.test("transplant() has programs use the package, and refuses what it does not export", async () => {
  await using folder = await GuardedFolder.create();
  const manifest = await readManifest();
  await transplant(manifest, ["tests/npm/conformance.ts"], folder.path);
  const backend = await Deno.readTextFile(`${folder.path}/tests/conformance/sql_backend.mjs`);
  assertEquals(importsOf(backend).map(({ specifier }) => specifier), [
    manifest.name,
    pathToFileURL(`${folder.path}/tests/conformance/emptied_tables.mjs`).href,
  ]);
  await assertRejects(
    () => transplant(manifest, ["tests/time/clock_offset_test.ts"], folder.path),
    Error,
    "Cannot test the package: tests/time/clock_offset_test.ts imports what is not exported, received " +
      "src/time/clock_offset.ts",
  );
});
