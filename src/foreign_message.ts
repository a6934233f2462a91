/**
 * How the message of a driver or a server is repeated in one of ours. It comes from outside: it can be
 * long, hold control characters that forge lines of a log, and repeat the connection string.
 */

import { describe } from "./describe.ts";

/** How much of a message is shown, in UTF-16 units. */
const SHOWN_UNITS = 500;
/** How much of a message is looked at. */
const READ_UNITS = 4000;

const MASK = "***";

/** Control characters of both sets, line separators, marks that reorder text, lone surrogates. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/u;

/** `password=secret`, `"password": "secret"`, `PGPASSWORD=secret` and the like. */
const PASSWORD =
  /(password|passwd|passphrase|pwd)(["'`]?\s*(?:=>?|:)\s*)("[^"]*"?|'[^']*'?|`[^`]*`?|[^\s&]+)/gi;

/**
 * The message of a caught value in a form that can stand in a message of ours. `names` are replaced
 * by their lengths. Names of up to three characters are not: other words can contain them by
 * chance.
 */
export function messageOf(cause: unknown, names: readonly string[] = []): string {
  const text = textOf(cause);
  if (text === undefined) return describe(cause);
  let shown = text;
  for (const name of names.filter(({ length }) => length > 3)) {
    shown = shown.replaceAll(name, `(a name of ${name.length} characters)`);
  }
  return printable(withoutCredentials(shown));
}

/** A message, that of the first error in an aggregate without one (Node's of several addresses), or a code. */
function textOf(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null) return undefined;
  const { message, errors, code } = cause as Record<string, unknown>;
  const first = Array.isArray(errors)
    ? (errors[0] as { message?: unknown } | undefined)
    : undefined;
  for (const candidate of [message, first?.message, code]) {
    if (typeof candidate === "string" && candidate.trim() !== "") return candidate;
  }
  return undefined;
}

function withoutCredentials(text: string): string {
  let shown = text;
  if (text.length > READ_UNITS) {
    // A connection string that is cut in two has lost the @ by which it is recognised.
    shown = text.slice(0, READ_UNITS).replace(/\S*:\S*$/, MASK);
  }
  return shown
    .replace(/:\/\/\S*@/g, `://${MASK}@`)
    .replace(/:[^\s:/@]+@/g, `:${MASK}@`)
    .replace(PASSWORD, `$1$2${MASK}`);
}

function printable(text: string): string {
  let shown = "";
  // By code point, so that no pair of surrogates is torn apart.
  for (const letter of text) {
    if (shown.length >= SHOWN_UNITS) return shown + "…";
    shown += UNSAFE.test(letter) ? escaped(letter) : letter;
  }
  return shown;
}

function escaped(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
