/**
 * Names for prepared statements.
 *
 * @module
 */

const names = new Map<string, Promise<string>>();

/**
 * The name to prepare a statement under. A driver refuses a name that it has seen with another text,
 * so the name is made of the text's SHA-256: two adapters on one pool, even from two installed
 * copies of this package, never disagree. 31 of its 32 bytes, in hexadecimal digits, leave room for
 * a first letter within the 63 bytes of a name.
 *
 * The names are kept for good: the library sends a fixed set of texts for each table.
 */
export function statementName(text: string): Promise<string> {
  let name = names.get(text);
  if (name === undefined) {
    name = hash(text);
    names.set(text, name);
  }
  return name;
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const digits = Array.from(new Uint8Array(digest, 0, 31), (byte) => byte.toString(16));
  return "c" + digits.map((digit) => digit.padStart(2, "0")).join("");
}
