/**
 * The modules of a program and what they import, without running them.
 *
 * @module
 */

import ts from "typescript";

/** A specifier in a module's text. */
export interface Import {
  readonly specifier: string;
  /** Where the text between the quotes begins. */
  readonly start: number;
}

/** Every specifier that a module imports or exports from, in the order of the text. */
export function importsOf(source: string): Import[] {
  const { importedFiles } = ts.preProcessFile(source, true, true);
  return importedFiles
    .map(({ fileName, pos }) => {
      // The position is that of the quote for some statements and of the text for others.
      const start = source.startsWith(fileName, pos) ? pos : source.indexOf(fileName, pos);
      return { specifier: fileName, start };
    })
    .toSorted((a, b) => a.start - b.start);
}

/** Replaces specifiers in a module; those for which `replace` returns `undefined` stay. */
export function replaceImports(
  source: string,
  replace: (specifier: string) => string | undefined,
): string {
  let result = "";
  let end = 0;
  for (const { specifier, start } of importsOf(source)) {
    result += source.slice(end, start) + (replace(specifier) ?? specifier);
    end = start + specifier.length;
  }
  return result + source.slice(end);
}

/** Whether a specifier names a file by its path from the module that imports it. */
export function isRelative(specifier: string): boolean {
  return /^\.\.?\//.test(specifier);
}

/**
 * Everything that modules need, themselves included: paths below the root, sorted.
 *
 * @param entries Paths below the root, `./` in front or not.
 */
export function closureOf(root: URL, entries: Iterable<string>): Promise<string[]> {
  return closure(root, entries, (source) => source);
}

/**
 * The modules whose declarations are needed to compile against those of the entries: what the types of
 * their exports name. What only functions and private members use is not among them.
 *
 * @param entries Paths below the root, `./` in front or not.
 */
export function declaredClosureOf(root: URL, entries: Iterable<string>): Promise<string[]> {
  return closure(
    root,
    entries,
    (source, fileName) =>
      // The sources are written for it: `isolatedDeclarations`.
      ts.transpileDeclaration(source, { fileName, compilerOptions: {} })
        .outputText,
  );
}

async function closure(
  root: URL,
  entries: Iterable<string>,
  textOf: (source: string, fileName: string) => string,
): Promise<string[]> {
  const found = new Set<string>();
  const waiting = [...entries].map((entry) => new URL(entry, root).href);
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (found.has(url)) continue;
    found.add(url);
    const text = textOf(await Deno.readTextFile(new URL(url)), url.slice(root.href.length));
    for (const { specifier } of importsOf(text)) {
      if (isRelative(specifier)) waiting.push(new URL(specifier, url).href);
    }
  }
  return [...found].map((url) => url.slice(root.href.length)).toSorted();
}
