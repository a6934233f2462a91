import { describe } from "../describe.ts";

/** A name in the forms that statements need. */
export interface SqlName {
  /** Quoted, schema-qualified where a schema was given: ready to stand in SQL. */
  readonly quoted: string;
  /** The quoted form as an SQL string literal, for `to_regclass` and the like. */
  readonly literal: string;
}

/** What stands beside the table of the circuits, in the same schema. */
export interface CompanionNames {
  /** The log of changes. */
  readonly changes: SqlName;
  /** The living instances, and the token of background work. */
  readonly instances: SqlName;
  /** The unlogged table that a crash of the server empties. */
  readonly epoch: SqlName;
  /** The sequence of versions. */
  readonly versions: SqlName;
  /** The view of the circuits for people. */
  readonly overview: SqlName;
  /** The view of the log for people. */
  readonly timeline: SqlName;
}

/** A validated table name, and the names that follow from it. */
export interface TableName extends SqlName, CompanionNames {
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
    if (byteLength(part) > MAX_IDENTIFIER_BYTES) {
      throw invalid(`must not have a part of more than ${MAX_IDENTIFIER_BYTES} bytes`);
    }
  }
  if (parts.length > 2) {
    throw invalid('must be a table or schema.table (quote a name with dots: "a.b")');
  }
  const own = sqlName(parts);
  const hidden = parts.filter((part) => !PLAIN.test(part));
  const shown = hidden.length === 0 ? own.quoted : `(a name of ${name.length} characters)`;
  const companion = (suffix: string) =>
    sqlName([...parts.slice(0, -1), companionName(parts.at(-1)!, suffix)]);
  return {
    ...own,
    changes: companion("_changes"),
    instances: companion("_instances"),
    epoch: companion("_epoch"),
    versions: companion("_versions"),
    overview: companion("_overview"),
    timeline: companion("_timeline"),
    shown,
    hidden,
  };
}

function sqlName(parts: readonly string[]): SqlName {
  const quoted = parts.map((part) => `"${part.replaceAll('"', '""')}"`).join(".");
  return { quoted, literal: quoteLiteral(quoted) };
}

/**
 * A table's name with a suffix. Where that is too long, the name is cut and gets a digest of the whole,
 * so that two long names do not share what belongs to them.
 */
function companionName(name: string, suffix: string): string {
  const whole = name + suffix;
  if (byteLength(whole) <= MAX_IDENTIFIER_BYTES) return whole;
  const ending = `_${fnv1a(name)}${suffix}`;
  let begin = name;
  while (byteLength(begin + ending) > MAX_IDENTIFIER_BYTES) {
    begin = Array.from(begin).slice(0, -1).join("");
  }
  return begin + ending;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The 32-bit FNV-1a hash of a text in UTF-8, as eight hexadecimal digits. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
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
