/**
 * How any string becomes a key that PostgreSQL can hold and index.
 *
 * A text column holds neither NUL (error 22021) nor lone surrogates. A row of a btree index holds
 * at most 2704 bytes, a constant of PostgreSQL (error 54000). The policy's default key is the
 * request path, so requests choose the keys. A key that failed would switch the breaker off.
 */

/** The longest key in UTF-8 bytes that is stored as it is. */
export const MAX_PLAIN_KEY_BYTES = 512;

/** How much of a digested key stays readable, in UTF-16 units. */
const READABLE_UNITS = 120;

// A key that already looks like a marked one is digested too, so that no two keys share a row.
const DIGEST_MARK = "~sha256:";
const MARKED = /~(sha256:[0-9a-f]{64}|observed)$/;
const OBSERVED_MARK = "~observed";
const MARK_BEGIN = DIGEST_MARK.charCodeAt(0);
const LAST_ASCII = 0x7f;
const encoder = new TextEncoder();

/**
 * The form of a key in the table: the key itself where PostgreSQL can hold it, otherwise a readable
 * prefix and the SHA-256 digest of the whole key. Two keys never have the same form.
 */
export function storedKey(key: string): string | Promise<string> {
  return isPlain(key) ? key : digestedKey(key);
}

/** A circuit's key, or an object with the stored key of a circuit, such as a listed circuit. */
export type CircuitKey = string | { readonly storedKey: string };

/** Whether the caller gave several keys. `Array.isArray` does not narrow readonly arrays. */
export function isList(
  keys: CircuitKey | readonly CircuitKey[],
): keys is readonly CircuitKey[] {
  return Array.isArray(keys);
}

/** The form of a key in the table. A stored key has that form already. */
export function storedKeyOf(key: CircuitKey): string | Promise<string> {
  return typeof key === "string" ? storedKey(key) : key.storedKey;
}

/** The stored key of a circuit by its name in an event, which is a key or, of a listed circuit, its stored key. */
export function storedKeyOfName(name: string): string | Promise<string> {
  return MARKED.test(name) && isStorable(name) ? name : storedKey(name);
}

/** The stored key of the circuit that instances judge which only observe. */
export function observedKeyOf(stored: string): string {
  return stored.endsWith(OBSERVED_MARK) ? stored : stored + OBSERVED_MARK;
}

/**
 * The form of a key in which a cursor compares with stored keys. A listed key stays as it is, also
 * a digested one. A key that no row can have is digested.
 */
export function cursorKey(key: string): string | Promise<string> {
  return key.includes("\0") || !isWellFormed(key) ? digestedKey(key) : key;
}

/** The longest key that an index row of the table holds for certain, in UTF-8 bytes. */
const MAX_STORED_KEY_BYTES = 2600;

/** Whether a row of the table can have a key in this form. */
export function isStorable(stored: string): boolean {
  return !stored.includes("\0") && isWellFormed(stored) &&
    encoder.encode(stored).length <= MAX_STORED_KEY_BYTES;
}

/** Whether the table holds a key as it is. */
export function isPlain(key: string): boolean {
  if (key.length > MAX_PLAIN_KEY_BYTES) return false;
  // Letter by letter, because each call runs it, and a regular expression is slower.
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code === 0 || code === MARK_BEGIN || code > LAST_ASCII) return isPlainUnusual(key);
  }
  return true;
}

/** The same for a key with characters that the loop does not judge. */
function isPlainUnusual(key: string): boolean {
  if (MARKED.test(key)) return false;
  // The decoders of some drivers drop a leading U+FEFF as a byte order mark.
  if (key.startsWith("\ufeff")) return false;
  return !key.includes("\0") && isWellFormed(key) &&
    encoder.encode(key).length <= MAX_PLAIN_KEY_BYTES;
}

async function digestedKey(key: string): Promise<string> {
  // The digest covers the UTF-16 units: UTF-8 encodes every lone surrogate as the same U+FFFD.
  const units = new DataView(new ArrayBuffer(key.length * 2));
  for (let i = 0; i < key.length; i++) units.setUint16(i * 2, key.charCodeAt(i));
  return readable(key) + DIGEST_MARK + hexOf(await crypto.subtle.digest("SHA-256", units.buffer));
}

function hexOf(digest: ArrayBuffer): string {
  let hex = "";
  for (const byte of new Uint8Array(digest)) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** The part of a long or unusual key that people read. Several keys can have the same. */
export function readable(key: string): string {
  return new TextDecoder().decode(encoder.encode(key.slice(0, READABLE_UNITS)))
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x1f\x7f\ufeff]/g, "\ufffd");
}

function isWellFormed(key: string): boolean {
  return !/\p{Surrogate}/u.test(key);
}

/** Orders stored keys by their UTF-8 bytes, as the "C" collation of the database does. */
export function compareKeys(a: string, b: string): number {
  const left = encoder.encode(a);
  const right = encoder.encode(b);
  const common = Math.min(left.length, right.length);
  for (let i = 0; i < common; i++) {
    const difference = left[i]! - right[i]!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/**
 * A text that comes before another one in the order of UTF-8 bytes, with hardly a key between them;
 * `undefined` where none does.
 */
export function keyBefore(text: string): string | undefined {
  const letters = Array.from(text);
  const last = letters.pop();
  if (last === undefined) return undefined;
  const beginning = letters.join("");
  const code = last.codePointAt(0)!;
  // No key holds NUL or a lone surrogate.
  if (code <= 1) return beginning === "" ? undefined : beginning;
  const before = code === 0xe000 ? 0xd7ff : code - 1;
  return beginning + String.fromCodePoint(before) + "\u{10ffff}";
}
