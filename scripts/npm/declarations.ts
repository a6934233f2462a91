/**
 * Declarations that compile without any setting of their users.
 *
 * @module
 */

import ts from "typescript";

/**
 * Types of the language that a project with an older `lib` does not have, and the libraries of
 * TypeScript that have them. A source cannot name its libraries itself: JSR refuses that.
 */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  AsyncDisposable: ["esnext.disposable"],
  asyncDispose: ["esnext.disposable"],
  Disposable: ["esnext.disposable"],
  dispose: ["esnext.disposable"],
  // The second one uses a type of the first and does not say so.
  ErrorOptions: ["es2021.promise", "es2022.error"],
};

/** Makes the declarations of a module ready for the package. */
export function finishDeclarations(declarations: string): string {
  return addLibraries(withoutModuleComment(declarations));
}

/**
 * Drops the comment about a whole module, which no editor shows; JSR and the README have it. It is the one
 * with the tag for that.
 */
export function withoutModuleComment(declarations: string): string {
  return declarations.replace(/^\/\*\*(?:(?!\*\/)[^])*? \* @module\n \*\/\n/, "");
}

/** Has declarations name the libraries that they need. */
export function addLibraries(declarations: string): string {
  const names = identifiersIn(declarations);
  const libraries = new Set(
    Object.entries(LIBRARIES).filter(([name]) => names.has(name)).flatMap(([, libraries]) =>
      libraries
    ),
  );
  const references = [...libraries].map((library) => `/// <reference lib="${library}" />\n`);
  return references.join("") + declarations;
}

function identifiersIn(source: string): Set<string> {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) found.add(node.text);
    node.forEachChild(visit);
  };
  visit(ts.createSourceFile("index.d.ts", source, ts.ScriptTarget.Latest));
  return found;
}
