import { describe } from "../describe.ts";

/** A validated table name in the forms that statements need. */
export interface TableName {
  /** Quoted, schema-qualified where a schema was given: ready to stand in SQL. */
  readonly quoted: string;
  /** The quoted form as an SQL string literal, for `to_regclass` and the like. */
  readonly literal: string;
}

/** PostgreSQL silently cuts longer identifiers, which would make two names one table. */
const MAX_IDENTIFIER_BYTES = 63;

/**
 * Parses a table name: `table` or `schema.table`, taken literally and in its case. A part that
 * holds a dot stands in double quotes, with a double quote inside doubled, as in SQL.
 */
export function parseTableName(action: string, name: unknown): TableName {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot ${action}: "table" must be a string, received ${describe(name)}`,
    );
  }
  const invalid = (reason: string) =>
    new RangeError(`Cannot ${action}: "table" ${reason}, received ${describe(name)}`);
  const parts = splitName(name);
  if (parts === undefined) throw invalid("has a quoted part that does not end in a quote");
  for (const part of parts) {
    if (part === "") throw invalid("must not have an empty part");
    if (part.includes("\0")) throw invalid("must not hold NUL");
    if (/\p{Surrogate}/u.test(part)) throw invalid("must not hold a lone surrogate");
    if (new TextEncoder().encode(part).length > MAX_IDENTIFIER_BYTES) {
      throw invalid(`must not have a part of more than ${MAX_IDENTIFIER_BYTES} bytes`);
    }
  }
  if (parts.length > 2) {
    throw invalid('must be a table or schema.table (quote a name with dots: "a.b")');
  }
  const quoted = parts.map((part) => `"${part.replaceAll('"', '""')}"`).join(".");
  return { quoted, literal: quoteLiteral(quoted) };
}

/** Splits at dots outside of quotes; `undefined` for a quoted part that does not end well. */
function splitName(name: string): string[] | undefined {
  const parts: string[] = [];
  let rest = name;
  while (true) {
    const quoted = /^"((?:[^"]|"")*)"(?=\.|$)/.exec(rest);
    if (quoted === null && rest.startsWith('"')) return undefined;
    const raw = quoted?.[0] ?? /^[^.]*/.exec(rest)![0];
    parts.push(quoted === null ? raw : quoted[1]!.replaceAll('""', '"'));
    if (raw.length === rest.length) return parts;
    rest = rest.slice(raw.length + 1);
  }
}

/** A string literal that reads the same whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const escaped = text.replaceAll("'", "''");
  return escaped.includes("\\") ? ` E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
}
