/** What is printed of texts from outside: nothing that moves the cursor, reorders a line or hides itself. */

/** Control and format characters, line ends, lone surrogates, unassigned ones, and blanks that look alike. */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;
const EVERY_UNSAFE: RegExp = new RegExp(UNSAFE, "gu");

/** What a shell takes as it is. */
const BARE = /^[A-Za-z0-9_./:@%+,][A-Za-z0-9_./:@%+,=-]*$/;

/** Stands for what was left out of a text. */
export const ELLIPSIS = "…";

/** Characters without a width of their own. */
const ZERO_WIDTH = /[\p{Mn}\p{Me}]/u;

/** Characters that take two columns: Hangul, Kana, ideographs, full-width forms, emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** A text in which every unsafe character is escaped: `\n`, `\x1b`, `\u202e`. */
export function printable(text: string): string {
  return text.replace(EVERY_UNSAFE, escapeOf);
}

function escapeOf(letter: string): string {
  const short = SHORT_ESCAPES[letter];
  if (short !== undefined) return short;
  const code = letter.codePointAt(0)!;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A text as one argument of a command in bash, zsh and ksh. Where it holds unsafe characters, it has the
 * form `$'...'` with their bytes in octal, which needs no locale.
 */
export function shellQuoted(text: string): string {
  if (BARE.test(text)) return text;
  if (!UNSAFE.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  let quoted = "";
  for (const letter of text) {
    // A shell expands "!" before it looks at this kind of quotes.
    if (letter === "\\" || letter === "'") quoted += `\\${letter}`;
    else if (letter === "!" || UNSAFE.test(letter)) {
      quoted += SHORT_ESCAPES[letter] ?? octalOf(letter);
    } else quoted += letter;
  }
  return `$'${quoted}'`;
}

function octalOf(letter: string): string {
  const bytes = new TextEncoder().encode(letter);
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

/** How many columns of a terminal a printable text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) {
    if (!ZERO_WIDTH.test(letter)) width += WIDE.test(letter) ? 2 : 1;
  }
  return width;
}

/** A key as an argument for a shell, in a number of columns at most: its middle is left out where it is longer. */
export function fittedKey(key: string, columns: number): string {
  const whole = shellQuoted(key);
  if (widthOf(whole) <= columns) return whole;
  const letters = Array.from(key);
  for (let kept = Math.min(letters.length - 1, columns); kept > 0; kept--) {
    const ending = Math.floor(kept / 2);
    const beginning = letters.slice(0, kept - ending).join("");
    const shown = shellQuoted(
      beginning + ELLIPSIS + letters.slice(letters.length - ending).join(""),
    );
    if (widthOf(shown) <= columns) return shown;
  }
  return ELLIPSIS;
}

/** A text in a number of columns at most: its end is left out where it is longer. */
export function fittedText(text: string, columns: number): string {
  const whole = printable(text);
  if (widthOf(whole) <= columns) return whole;
  let shown = "";
  let width = 0;
  for (const letter of text) {
    const next = printable(letter);
    width += widthOf(next);
    if (width > columns - 1) break;
    shown += next;
  }
  return shown + ELLIPSIS;
}

/** A value as JSON on one line, in which unsafe characters are escaped. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value);
  return text.replace(EVERY_UNSAFE, (letter) => {
    let escaped = "";
    for (let i = 0; i < letter.length; i++) {
      escaped += `\\u${letter.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
