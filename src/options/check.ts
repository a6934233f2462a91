/** Checks of what users pass in. Each throws in one form: "Cannot do this: reason, received value". */

import { describe } from "../describe.ts";
import { CIRCUIT_STATES, type CircuitState } from "../types.ts";

/** Durations beyond some 285 years make times that a number does not hold exactly. */
const MAX_MILLISECONDS = 9e12;

/** Throws unless the value is an object with no other options than these. */
export function assertOptions(action: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: "options" must be an object, received ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw new TypeError(
      `Cannot ${action}: there is no option ${describe(name)}, use one of ${names.join(", ")}`,
    );
  }
}

/** Throws unless the option is a string. */
export function assertString(
  action: string,
  name: string,
  value: unknown,
): asserts value is string {
  if (typeof value === "string") return;
  throw new TypeError(`Cannot ${action}: "${name}" must be a string, received ${describe(value)}`);
}

/** Throws unless the option is a function or absent. */
export function assertFunction(action: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new TypeError(
    `Cannot ${action}: "${name}" must be a function, received ${describe(value)}`,
  );
}

/** Throws unless the option is one of a few words. */
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

/** Throws unless the value is a usable circuit key: any string. */
export function assertKey(action: string, key: unknown): asserts key is string {
  assertString(action, "key", key);
}

/** Throws unless the value is the name of a circuit state. */
export function assertState(
  action: string,
  name: string,
  state: unknown,
): asserts state is CircuitState {
  assertOneOf(action, name, state, CIRCUIT_STATES);
}
