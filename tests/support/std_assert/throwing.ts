/**
 * Assertions about what is thrown or rejected.
 *
 * @module
 */

import { inspect } from "node:util";
import { AssertionError, explain } from "./assertion_error.ts";

// deno-lint-ignore no-explicit-any
type ErrorType<E extends Error> = abstract new (...args: any[]) => E;

/** The value is an error of the class, whose message includes or matches something. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorType<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(
      explain(`Expected "error" to be an Error object, received ${inspect(error)}`, msg),
    );
  }
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    throw new AssertionError(
      explain(
        `Expected error to be instance of "${ErrorClass.name}", but was ` +
          `"${error.constructor.name}": ${error.message}`,
        msg,
      ),
    );
  }
  if (msgMatches === undefined) return;
  const isMatch = typeof msgMatches === "string"
    ? error.message.includes(msgMatches)
    : msgMatches.test(error.message);
  if (isMatch) return;
  throw new AssertionError(
    explain(
      `Expected error message to match ${inspect(msgMatches)}, but got ${inspect(error.message)}`,
      msg,
    ),
  );
}

/** The function throws. Returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** The function throws an error of the class, whose message includes a text. Returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorType<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  classOrMsg?: ErrorType<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    if (typeof classOrMsg === "function") assertIsError(error, classOrMsg, msgIncludes, msg);
    return thrown;
  }
  throw new AssertionError(
    explain("Expected function to throw", typeof classOrMsg === "string" ? classOrMsg : msg),
  );
}

/** The function's promise is rejected. Resolves to what it was rejected with. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * The function's promise is rejected with an error of the class, whose message includes a text.
 * Resolves to the error.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorType<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorType<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const text = typeof classOrMsg === "string" ? classOrMsg : msg;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError(
      explain(`Function throws when expected to reject, with ${inspect(error)}`, text),
      { cause: error },
    );
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") assertIsError(error, classOrMsg, msgIncludes, msg);
    return error;
  }
  throw new AssertionError(explain("Expected function to reject", text));
}
