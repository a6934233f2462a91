/**
 * Checks of what users pass in. Each throws in one form: "Cannot do this: reason, received value".
 *
 * One rule for the class, everywhere: a TypeError for a value of a wrong type, for a value that is not
 * among the words of an enumeration (a state, `onOutage`, `durability`), for a misspelt option and for
 * options that contradict each other; a RangeError for a number out of its range, a text that is too
 * long, and a name that cannot be a table's.
 */

import { describe } from "../describe.ts";
import { type CircuitKey, isStorable } from "../key.ts";
import { CIRCUIT_STATES, type CircuitState } from "../types.ts";

export { assertOptions } from "../option_names.ts";

/** 285 years: about as long as a number counts exactly in microseconds, PostgreSQL's unit of time. */
const MAX_MILLISECONDS = 9e12;

/** Throws unless the option is a string. */
export function assertString(
  action: string,
  name: string,
  value: unknown,
): asserts value is string {
  if (typeof value === "string") return;
  throw new TypeError(`Cannot ${action}: "${name}" must be a string, received ${describe(value)}`);
}

/** A text that only people read. A text column cannot hold NUL and lone surrogates, so they are replaced. */
export function readableText(text: string): string {
  return text.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * A text that only people read.
 *
 * @throws Unless the option is a string of a length in the range.
 */
export function textOf(
  action: string,
  name: string,
  value: unknown,
  least: number,
  most: number,
): string {
  assertString(action, name, value);
  if (value.length >= least && value.length <= most) return readableText(value);
  const range = least === 0 ? `at most ${most}` : `from ${least} to ${most}`;
  throw new RangeError(
    `Cannot ${action}: "${name}" must have ${range} characters, received ${describe(value)}`,
  );
}

/** Throws unless the option is `true`, `false` or absent. */
export function assertBoolean(action: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new TypeError(
    `Cannot ${action}: "${name}" must be true or false, received ${describe(value)}`,
  );
}

/** Throws unless the option is a function or absent. */
export function assertFunction(action: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new TypeError(
    `Cannot ${action}: "${name}" must be a function, received ${describe(value)}`,
  );
}

/** Throws unless the option "signal" is an AbortSignal, or absent. */
export function assertSignal(action: string, given: object | null | undefined): void {
  if (given === undefined) return;
  const signal = given as Partial<AbortSignal> | null;
  if (
    typeof signal?.aborted === "boolean" && typeof signal.addEventListener === "function" &&
    typeof signal.removeEventListener === "function"
  ) return;
  throw new TypeError(
    `Cannot ${action}: "signal" must be an AbortSignal, received ${describe(given)}`,
  );
}

/** Throws unless the option is one of the choices. */
export function assertOneOf(
  action: string,
  name: string,
  value: unknown,
  choices: readonly string[],
): void {
  if ((choices as readonly unknown[]).includes(value)) return;
  const quoted = choices.map((choice) => `"${choice}"`).join(" or ");
  throw new TypeError(`Cannot ${action}: "${name}" must be ${quoted}, received ${describe(value)}`);
}

/** Throws unless the option is a positive number of milliseconds, or absent. */
export function assertMilliseconds(action: string, name: string, value: unknown): void {
  if (value === undefined) return;
  assertNumber(action, name, value);
  if (value > 0 && value <= MAX_MILLISECONDS) return;
  throw new RangeError(
    `Cannot ${action}: "${name}" must be a positive number of milliseconds, received ${value}`,
  );
}

/** Throws unless the option is a whole number in a range, or absent. */
export function assertCount(
  action: string,
  name: string,
  value: unknown,
  least: number,
  most: number,
): void {
  if (value === undefined) return;
  assertNumber(action, name, value);
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot ${action}: "${name}" must be a whole number from ${least} to ${most}, received ${value}`,
  );
}

/** Throws unless the option is a number. */
export function assertNumber(
  action: string,
  name: string,
  value: unknown,
): asserts value is number {
  if (typeof value === "number") return;
  throw new TypeError(`Cannot ${action}: "${name}" must be a number, received ${describe(value)}`);
}

/** Throws unless the value is a circuit key: any string, or an object with a stored key. */
export function assertKey(action: string, key: unknown): asserts key is CircuitKey {
  if (typeof key === "string") return;
  if (typeof key === "object" && key !== null && "storedKey" in key) {
    const { storedKey } = key;
    if (typeof storedKey === "string" && isStorable(storedKey)) return;
    throw new TypeError(
      `Cannot ${action}: "storedKey" must be a key as the store lists it, received ${
        describe(storedKey)
      }`,
    );
  }
  throw new TypeError(
    `Cannot ${action}: "key" must be a string or have a "storedKey", received ${describe(key)}`,
  );
}

/** Throws unless the value is the name of a circuit state. */
export function assertState(
  action: string,
  name: string,
  state: unknown,
): asserts state is CircuitState {
  assertOneOf(action, name, state, CIRCUIT_STATES);
}
