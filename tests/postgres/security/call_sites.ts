/**
 * The calls of functions and the operators in a statement, found in its text, with the types that the
 * server sees there.
 */

import type postgres from "postgres";

/** A call of a function by a name without a schema. */
export interface CallSite {
  readonly name: string;
  /**
   * The types of its arguments as the server prints them, `unknown` for a bare literal.
   * `undefined` where the server did not get there: a branch of a body that did not run.
   */
  readonly types: readonly string[] | undefined;
}

/** A piece of a statement that may call something. */
interface Token {
  readonly kind: "name" | "operator";
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A name that no function has. It stands in for the called one when the server is asked for types. */
const UNKNOWN = "call_site_of_nothing";

const SKIPPED = [
  /--[^\n]*/y,
  /\/\*[\s\S]*?\*\//y,
  /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
  // The quotes of a body, not what is between them.
  /\$(?:[A-Za-z_]\w*)?\$/y,
  /\$\d+/y,
  /\d[\w.]*/y,
  // A qualified name is not looked up on the search path.
  /(?:[A-Za-z_]\w*|"(?:[^"]|"")*")\s*\.\s*[A-Za-z_]\w*/y,
  /operator\s*\(\s*pg_catalog\s*\.[^)]*\)/iy,
  /::/y,
  /:=/y,
];

/** The names before a parenthesis, and the operators of a text. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const skipped = SKIPPED.map(match).find((found) => found !== undefined);
    const name = skipped ?? match(/[A-Za-z_]\w*/y);
    const found = name ?? match(/[-+*/<>=~!@#%^&|`?]+/y) ?? text[at]!;
    const end = at + found.length;
    const kind = name === undefined ? "operator" : "name";
    const isCall = kind === "operator"
      ? /[-+*/<>=~!@#%^&|`?]/.test(found)
      : /^\s*\(/.test(text.slice(end));
    if (skipped === undefined && isCall) {
      tokens.push({ kind, text: found.toLowerCase(), start: at, end });
    }
    at = end;
  }
  return tokens;
}

/** The operators of a statement, with those that the grammar writes as words. */
export function operatorsOf(text: string): Set<string> {
  const operators = new Set(["=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*"]);
  for (const { kind, text: found } of tokensOf(text)) {
    // The server reads a trailing sign as an operator of its own: `2 <-1`.
    const operator = found === "!=" ? "<>" : found.replace(/(?<=[*/<>=])[-+]+$/, "");
    if (kind === "operator" && !["=>", "."].includes(operator)) operators.add(operator);
  }
  return operators;
}

/**
 * The calls of a statement. The server is asked once for each: the statement is prepared with a name
 * that no function has in the place of the called one, and the server's error has the types. What
 * cannot be prepared is run, in a transaction that is rolled back.
 *
 * @param admin A connection of a superuser, with the search path that is attacked.
 */
export async function callSitesOf(admin: postgres.Sql, text: string): Promise<CallSite[]> {
  const sites: CallSite[] = [];
  for (const { kind, text: name, start, end } of tokensOf(text)) {
    if (kind !== "name") continue;
    const changed = text.slice(0, start) + UNKNOWN + text.slice(end);
    const error = await errorOf(admin, changed);
    if (error === undefined) sites.push({ name, types: undefined });
    else if (error.code === "42883" && error.message.startsWith(`function ${UNKNOWN}(`)) {
      sites.push({ name, types: typesIn(error.message) });
    }
  }
  return sites;
}

/** What the server says to a statement, as an error; `undefined` where it has nothing to say. */
async function errorOf(
  admin: postgres.Sql,
  text: string,
): Promise<postgres.PostgresError | undefined> {
  const isPlain = /^\s*(?:select|insert|update|delete|with|values|merge)\b/i.test(text);
  try {
    await admin.begin(async (transaction) => {
      await transaction.unsafe(isPlain ? `prepare call_site as ${text}` : text);
      throw ROLL_BACK;
    });
  } catch (error) {
    if (error !== ROLL_BACK) return error as postgres.PostgresError;
  }
  return undefined;
}

const ROLL_BACK = new Error("roll back");

/** The types in "function name(type, type) does not exist". */
function typesIn(message: string): string[] {
  const list = message.slice(message.indexOf("(") + 1, message.lastIndexOf(") does not exist"));
  return list === "" ? [] : list.split(/,\s(?=(?:[^"]*"[^"]*")*[^"]*$)/);
}
