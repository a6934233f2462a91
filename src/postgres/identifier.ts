import { describe } from "../describe.ts";

/** A validated table name in the forms that statements need. */
export interface TableName {
  /** Quoted, schema-qualified where a schema was given: ready to stand in SQL. */
  readonly quoted: string;
  /** The quoted form as an SQL string literal, for `to_regclass` and the like. */
  readonly literal: string;
  /** The name for messages: quoted where each part is a plain word, otherwise its length. */
  readonly shown: string;
  /** The parts that no message shows. */
  readonly hidden: readonly string[];
}

/** PostgreSQL silently cuts longer identifiers, which would make two names one table. */
const MAX_IDENTIFIER_BYTES = 63;

const DEFAULT_TABLE = "stoma_circuit_breakers";

/** A name of letters and digits, which is no connection string and no password with signs in it. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_$]*$/;

/** A URL, `user:password@host`, or the `keyword=value` pairs of libpq. */
const CONNECTION_STRING =
  /:\/\/|:[^\s@]*@|\b(?:host|hostaddr|port|user|dbname|database|(?:ssl)?password|passfile|sslmode|service)\s*=/i;

/**
 * Parses a table name: `table` or `schema.table`, taken literally and in its case. A part that
 * holds a dot stands in double quotes, with a double quote inside doubled, as in SQL. A name that looks
 * like a connection string is refused: that is a mistake, and its password would become a table's name.
 */
export function parseTableName(action: string, name: unknown): TableName {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot ${action}: "table" must be a string, received ${describe(name)}`,
    );
  }
  const invalid = (reason: string) =>
    new RangeError(`Cannot ${action}: "table" ${reason}, received ${describe(name)}`);
  if (CONNECTION_STRING.test(name)) {
    throw invalid("must be the name of a table, not a connection string: pass that to the driver");
  }
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
  const hidden = parts.filter((part) => !PLAIN.test(part));
  const shown = hidden.length === 0 ? quoted : `(a name of ${name.length} characters)`;
  return { quoted, literal: quoteLiteral(quoted), shown, hidden };
}

/** The name of a store's table, which a caller can give as an argument, as an option, or as both. */
export function oneTableName(
  action: string,
  argument: string | undefined,
  option: string | undefined,
): TableName {
  if (argument === undefined) {
    return parseTableName(action, option === undefined ? DEFAULT_TABLE : option);
  }
  const name = parseTableName(action, argument);
  if (option === undefined) return name;
  if (name.quoted === parseTableName(action, option).quoted) return name;
  throw new TypeError(
    `Cannot ${action}: "table" must be the same as argument and as option, ` +
      `received ${describe(argument)} and ${describe(option)}`,
  );
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
