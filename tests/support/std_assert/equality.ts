/**
 * Deep equality as the original has it, for what tests compare: node's strict one, except that an
 * object without a prototype equals a literal and that both zeros are equal. Classes count: what extends
 * `Array` is not equal to an array.
 *
 * @module
 */

import nodeAssert from "node:assert/strict";
import { inspect, isDeepStrictEqual } from "node:util";
import { AssertionError, explain } from "./assertion_error.ts";

/** Whether two values are deeply equal. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b || isDeepStrictEqual(a, b)) return true;
  if (!isComparable(a) || !isComparable(b) || !haveSameConstructor(a, b)) return false;
  const keys = keysOf(a);
  return keys.length === keysOf(b).length && lengthOf(a) === lengthOf(b) &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

type Keyed = Record<PropertyKey, unknown>;

function isComparable(value: unknown): value is Keyed {
  return Array.isArray(value) || isPlain(value);
}

/** Whether the values are of one class. An object without a prototype counts as a literal. */
function haveSameConstructor(a: Keyed, b: Keyed): boolean {
  return (a.constructor ?? Object) === (b.constructor ?? Object);
}

function keysOf(value: Keyed): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) =>
    Object.prototype.propertyIsEnumerable.call(value, key)
  );
}

/** Arrays with holes have as many keys as shorter ones. */
function lengthOf(value: Keyed): unknown {
  return Array.isArray(value) ? value.length : undefined;
}

function isPlain(value: unknown): value is Keyed {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Whether everything in `expected` is in `actual` too, at every depth. */
function matches(actual: unknown, expected: unknown): boolean {
  if (!isPlain(expected)) return equal(actual, expected);
  if (typeof actual !== "object" || actual === null) return false;
  return Reflect.ownKeys(expected).every((key) =>
    key in actual && matches((actual as Keyed)[key], expected[key])
  );
}

/** The values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    throw new AssertionError(explain((error as Error).message, msg));
  }
  throw new AssertionError(explain("Values are not equal", msg));
}

/** The values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    explain(`Expected actual: ${inspect(actual)} not to be: ${inspect(expected)}`, msg),
  );
}

/** The values are the same by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  throw new AssertionError(
    explain(`Values are not strictly equal: ${inspect(actual)} and ${inspect(expected)}`, msg),
  );
}

/** The values are not the same by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(
    explain(`Expected "actual" to not be strictly equal to: ${inspect(actual)}`, msg),
  );
}

/** Everything in `expected` is deeply equal in `actual`, which may have more. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  if (matches(actual, expected)) return;
  throw new AssertionError(
    explain(`Expected ${inspect(actual)} to match ${inspect(expected)}`, msg),
  );
}

/** Every element of `expected` is deeply equal to one of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  msg?: string,
): void {
  const there = Array.from(actual);
  const missing = Array.from(expected).filter((value) => !there.some((it) => equal(it, value)));
  if (missing.length === 0) return;
  throw new AssertionError(
    explain(`Expected ${inspect(there)} to include, but missing: ${inspect(missing)}`, msg),
  );
}
