/**
 * Which names in an options object are mistakes.
 *
 * One object may serve several readers: the store, the policy of the gateway, a driver. A name that
 * is not ours belongs to another reader and is ignored, so that a new option of that reader does
 * not break a store. A name that is almost ours is a spelling mistake. It is an error, because
 * otherwise the option would silently have no effect.
 */

import { describe } from "./describe.ts";

/** Options that only the gateway's policy reads: never taken for a misspelt name of ours. */
const POLICY_NAMES: readonly string[] = [
  "failureOn",
  "openStatusCode",
  "key",
  "onStateChange",
  "skip",
  "store",
];

/** What `Object.prototype.toString` says of objects that can hold options. */
const HOLDERS: readonly string[] = ["[object Object]", "[object Module]"];

/** Shorter names differ from many ordinary words in a letter or two. */
const MIN_LENGTH = 5;
/** From this length on, two names may differ in two letters. `timeout` is not `timeoutMs`. */
const LONG = 8;

/** Whether a value is an object that can hold options: no array, no URL, no promise. */
export function isOptions(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null &&
    HOLDERS.includes(Object.prototype.toString.call(value));
}

/**
 * Throws unless the value is an object of options. Names that are not among ours are ignored, unless
 * they are almost one of them.
 */
export function assertOptions(
  action: string,
  options: unknown,
  names: readonly string[],
  called = "options",
): void {
  if (!isOptions(options)) {
    throw new TypeError(
      `Cannot ${action}: "${called}" must be a plain object, received ${describe(options)}`,
    );
  }
  for (const given of Object.keys(options)) {
    if (names.includes(given) || options[given] === undefined) continue;
    const meant = names.find((name) => options[name] === undefined && isNearMiss(given, name));
    if (meant === undefined) continue;
    throw new TypeError(
      `Cannot ${action}: "${meant}" must be spelt exactly so, ` +
        `received a similar name of ${given.length} characters`,
    );
  }
}

/**
 * Whether `given` is most likely meant to be `ours`: it differs in case or in separators only, or in
 * one letter that is missing, added, replaced or swapped with its neighbour; in two where both names
 * have at least eight letters. Names of fewer than five letters must be the same but for their case.
 */
export function isNearMiss(given: string, ours: string): boolean {
  if (POLICY_NAMES.includes(given)) return false;
  const [a, b] = [folded(given), folded(ours)];
  if (a === b) return true;
  const shorter = Math.min(a.length, b.length);
  // The other end of the same range is another option: `minCircuits` beside `maxCircuits`.
  if (shorter < MIN_LENGTH || a.replaceAll("min", "max") === b.replaceAll("min", "max")) {
    return false;
  }
  const most = shorter < LONG ? 1 : 2;
  return Math.abs(a.length - b.length) <= most && distance(a, b) <= most;
}

function folded(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** How many letters to insert, delete, replace or swap with a neighbour make the one the other. */
function distance(a: string, b: string): number {
  let [beforeLast, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      row[j] = Math.min(last![j]! + 1, row[j - 1]! + 1, last![j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, beforeLast![j - 2]! + 1);
      }
    }
    [beforeLast, last] = [last, row];
  }
  return last![b.length]!;
}
