/**
 * Puts programs of this repository into a project where the package is installed, as plain
 * JavaScript that any runtime takes, and has them use that package instead of the sources.
 *
 * @module
 */

import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { ROOT } from "../workspace.ts";
import { type Manifest, specifierOf } from "./manifest.ts";
import { isRelative, replaceImports } from "./modules.ts";

// The real one comes from JSR, which an npm project does not reach.
const STD_ASSERT = "tests/support/std_assert/mod.ts";
const SOURCES = /^(mod\.ts$|src\/)/;

/** Removes types, and syntax that Node 20 does not have. */
export function toJavaScript(source: string, fileName: string): string {
  const { outputText } = ts.transpileModule(source, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  });
  return outputText;
}

/**
 * Copies programs and what they import.
 *
 * @param entries Paths below the root; their copies have the same, but end in `.mjs`.
 * @param rename What programs import instead of an entry point of the package.
 */
export async function transplant(
  manifest: Manifest,
  entries: readonly string[],
  folder: string,
  rename: (specifier: string) => string = (specifier) => specifier,
): Promise<void> {
  const done = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (done.has(path)) continue;
    done.add(path);
    const module = new URL(path, ROOT);
    const source = toJavaScript(await Deno.readTextFile(module), path);
    const target = new URL(path, pathToFileURL(`${folder}/`));
    const result = replaceImports(source, (specifier) => {
      const needed = resolveBelowRoot(specifier, module);
      if (needed === undefined) return undefined;
      const published = publishedAs(manifest, needed);
      if (published !== undefined) return rename(published);
      if (SOURCES.test(needed)) {
        throw new Error(
          `Cannot test the package: ${path} imports what is not exported, received ${needed}`,
        );
      }
      waiting.push(needed);
      return toScript(new URL(needed, pathToFileURL(`${folder}/`)).href);
    });
    await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
    await Deno.writeTextFile(new URL(toScript(target.href)), result);
  }
}

/** The path of a copied program. */
export function toScript(path: string): string {
  return path.replace(/\.ts$/, ".mjs");
}

function resolveBelowRoot(specifier: string, module: URL): string | undefined {
  if (specifier === "@std/assert") return STD_ASSERT;
  if (!isRelative(specifier)) return undefined;
  return new URL(specifier, module).href.slice(ROOT.href.length);
}

function publishedAs(manifest: Manifest, path: string): string | undefined {
  const entry = Object.entries(manifest.exports).find(([, file]) => file === `./${path}`);
  return entry && specifierOf(manifest, entry[0]);
}
