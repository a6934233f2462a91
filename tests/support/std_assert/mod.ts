/**
 * Stands in for `@std/assert` where JSR cannot be reached: the functions the tests use, with the
 * same signatures and return values, on `node:assert` and `node:util`.
 *
 * @module
 */

import { inspect } from "node:util";
import { AssertionError, explain } from "./assertion_error.ts";

export { AssertionError } from "./assertion_error.ts";
export {
  assertArrayIncludes,
  assertEquals,
  assertNotEquals,
  assertNotStrictEquals,
  assertObjectMatch,
  assertStrictEquals,
  equal,
} from "./equality.ts";
export { assertIsError, assertRejects, assertThrows } from "./throwing.ts";

/** Values that count as false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

// deno-lint-ignore no-explicit-any
type AnyConstructor = abstract new (...args: any[]) => any;

/** The value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** The value is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** The value is neither null nor undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(
    explain(`Expected actual: "${actual}" to not be null or undefined`, msg),
  );
}

/** The value is an instance of the class. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  throw new AssertionError(
    explain(
      `Expected object to be an instance of "${expectedType.name}", received ${inspect(actual)}`,
      msg,
    ),
  );
}

/** The value is not an instance of the class. */
export function assertNotInstanceOf<A, T>(
  actual: A,
  // deno-lint-ignore no-explicit-any
  unexpectedType: abstract new (...args: any[]) => T,
  msg?: string,
): asserts actual is Exclude<A, T> {
  if (!(actual instanceof unexpectedType)) return;
  throw new AssertionError(
    explain(`Expected object to not be an instance of "${unexpectedType.name}"`, msg),
  );
}

/** The text includes the other. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    explain(`Expected actual: ${inspect(actual)} to contain: ${inspect(expected)}`, msg),
  );
}

/** The text matches the expression. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(
    explain(`Expected actual: ${inspect(actual)} to match: ${expected}`, msg),
  );
}

/** The text does not match the expression. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) return;
  throw new AssertionError(
    explain(`Expected actual: ${inspect(actual)} to not match: ${expected}`, msg),
  );
}

/** `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError(explain(`Expect ${inspect(actual)} > ${inspect(expected)}`, msg));
}

/** `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError(explain(`Expect ${inspect(actual)} >= ${inspect(expected)}`, msg));
}

/** `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError(explain(`Expect ${inspect(actual)} < ${inspect(expected)}`, msg));
}

/** `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError(explain(`Expect ${inspect(actual)} <= ${inspect(expected)}`, msg));
}

/** The numbers differ by the tolerance at most, by default a ten-millionth of what is expected. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void {
  const most = tolerance ?? (expected === 0 ? 1e-7 : Math.abs(expected) * 1e-7);
  if (Object.is(actual, expected) || Math.abs(expected - actual) <= most) return;
  throw new AssertionError(
    explain(`Expected actual: ${actual} to be close to ${expected}: difference over ${most}`, msg),
  );
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(explain("Failed assertion", msg));
}

/** Fails, where the code cannot come. */
export function unreachable(reason?: string): never {
  throw new AssertionError(explain("Unreachable", reason));
}
