/**
 * Compiled modules without what only their sources need.
 *
 * @module
 */

import ts from "typescript";

/** Drops comments: the declarations have those that are for users, and the sources all of them. */
export function withoutComments(source: string): string {
  const file = ts.createSourceFile(
    "index.js",
    source,
    ts.ScriptTarget.Latest,
    false,
    ts.ScriptKind.JS,
  );
  return ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed }).printFile(
    file,
  );
}
