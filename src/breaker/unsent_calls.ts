/**
 * Errors of calls of which nothing was sent, because the request itself is wrong: a header or a method that no
 * request can have, or credentials in the URL. The upstream is not at fault.
 */

const UNSENT = new WeakSet<object>();

/** Notes that an error says so. */
export function noteUnsent(error: object): void {
  UNSENT.add(error);
}

/** Whether an error was noted. */
export function isUnsent(error: unknown): boolean {
  return typeof error === "object" && error !== null && UNSENT.has(error);
}
