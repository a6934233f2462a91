/**
 * Puts the modules of the package together into a few, so that it is small. What an entry point shares
 * with others stays in modules of its own: nothing is there twice, and bundlers drop what they do not
 * need. There are modules only; `require` loads those.
 *
 * @module
 */

import { dirname, relative } from "node:path";
import * as esbuild from "esbuild";
import ts from "typescript";
import { pathToFileURL } from "node:url";
import type { Specification } from "./specification.ts";

/** What the shared modules are called. Their number is that of the build. */
export const SHARED: RegExp = /^esm\/shared\/\d+\.js$/;

/**
 * Modules that have to stay apart from each other, beside the entry points: programs that use one of them
 * need not load the others.
 */
const APART = [
  "mod.ts",
  "src/breaker/circuit_breaker.ts",
  "src/breaker/errors.ts",
  "src/errors.ts",
  "src/memory_store.ts",
  "src/postgres/migrate.ts",
  "src/store.ts",
];

const MINIFY = { minify: true, target: "es2022", charset: "utf8" } as const;

/** Texts for browsers, which are smaller without what only people read. */
const PAGE: Readonly<Record<string, esbuild.TransformOptions>> = {
  "src/dashboard/script.js": { ...MINIFY, loader: "js", format: "esm" },
  "src/dashboard/style.js": { ...MINIFY, loader: "css" },
};

/** Replaces the compiled modules in a folder, and the scripts by what loads the modules. */
export async function bundle(folder: string, specification: Specification): Promise<void> {
  try {
    await rewrite(folder, specification);
  } finally {
    await esbuild.stop();
  }
}

async function rewrite(folder: string, specification: Specification): Promise<void> {
  const root = `${folder}/esm`;
  const entries = specification.entries.map(toScript);
  const { outputFiles } = await esbuild.build({
    ...MINIFY,
    absWorkingDir: root,
    entryPoints: [...new Set([...entries, ...APART.map(toScript)])],
    outdir: root,
    outbase: root,
    chunkNames: "shared/[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    // Drivers and modules of Node are the user's.
    packages: "external",
    platform: "neutral",
    legalComments: "none",
    write: false,
    plugins: [{ name: "package", setup: (build) => build.onLoad({ filter: /./ }, load) }],
  });

  /** Hands a module to the bundler. */
  async function load({ path }: esbuild.OnLoadArgs): Promise<esbuild.OnLoadResult> {
    const options = PAGE[relative(root, path).replaceAll("\\", "/")];
    if (options !== undefined) return { contents: await minifiedTexts(path, options) };
    return { contents: withNames(await Deno.readTextFile(path)) };
  }

  for (const path of specification.compiled) {
    if (path.endsWith(".js")) await Deno.remove(`${folder}/${path}`);
  }
  await Deno.mkdir(`${root}/shared`);
  for (const [path, text] of renamed(outputFiles.map(({ path, text }) => [path, text]))) {
    if (!path.startsWith(`${root}/shared/`) && !isEntry(path)) continue;
    await Deno.writeTextFile(path, withoutBareImports(text));
  }
  for (const entry of entries) {
    const script = `${folder}/script/${entry}`;
    const module = relative(dirname(script), `${root}/${entry}`).replaceAll("\\", "/");
    await Deno.writeTextFile(script, `module.exports = require("${module}");\n`);
  }

  function isEntry(path: string): boolean {
    return entries.some((entry) => path === `${root}/${entry}`);
  }
}

/** Evaluates a module that exports texts, and returns one with the same texts, minified. */
async function minifiedTexts(path: string, options: esbuild.TransformOptions): Promise<string> {
  const texts: Record<string, string> = await import(pathToFileURL(path).href);
  const lines = Object.entries(texts).map(async ([name, text]) => {
    const { code } = await esbuild.transform(text, options);
    return `export const ${name} = ${JSON.stringify(code.trim())};\n`;
  });
  return (await Promise.all(lines)).join("");
}

/**
 * Has exported classes keep their names, which logs and inspections show: a minifier gives them others,
 * and its own way to keep them makes bundlers keep the classes.
 */
export function withNames(source: string): string {
  const file = ts.createSourceFile("module.js", source, ts.ScriptTarget.Latest, false);
  let result = source;
  for (const statement of [...file.statements].toReversed()) {
    if (!ts.isClassDeclaration(statement) || statement.name === undefined) continue;
    if (!statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
    const at = statement.members.pos;
    result = `${result.slice(0, at)} static name = "${statement.name.text}";${result.slice(at)}`;
  }
  return result;
}

/**
 * Gives the shared modules numbers for names, in the order of their texts: the bundler's own names depend on
 * the folder as well.
 */
function renamed(files: [path: string, text: string][]): [path: string, text: string][] {
  const hash = /(?<=\/shared\/)[A-Z0-9]{8}(?=\.js$)/;
  const all = /(?<=shared\/|"\.\/)[A-Z0-9]{8}(?=\.js)/g;
  const hashes = files.flatMap(([path, text]) => {
    const [name] = hash.exec(path) ?? [];
    return name === undefined ? [] : [{ name, text: text.replace(all, "") }];
  });
  const sorted = hashes.toSorted((a, b) => a.text < b.text ? -1 : 1);
  const names = new Map(sorted.map(({ name }, index) => [name, String(index)]));
  const rename = (text: string) => text.replace(all, (name) => names.get(name) ?? name);
  return files.map(([path, text]) => [rename(path), rename(text)]);
}

/** Takes out imports that import nothing: no module here does anything by being loaded. */
export function withoutBareImports(source: string): string {
  const file = ts.createSourceFile("module.js", source, ts.ScriptTarget.Latest, false);
  let result = source;
  for (const statement of [...file.statements].toReversed()) {
    if (!ts.isImportDeclaration(statement) || statement.importClause !== undefined) continue;
    result = result.slice(0, statement.pos) + result.slice(statement.end);
  }
  return result;
}

function toScript(path: string): string {
  return path.replace(/^\.\//, "").replace(/\.ts$/, ".js");
}
