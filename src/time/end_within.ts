import { StoreTimeoutError } from "../errors.ts";

/** How long the process may still read answers after a deadline, in milliseconds. */
export const LAST_READ_MS = 1;

/** The error of what has not ended by its deadline. */
export function timeoutError(action: string, timeoutMs: number): StoreTimeoutError {
  return new StoreTimeoutError(`Cannot ${action}: no answer in ${timeoutMs} ms`);
}

/**
 * Waits for work that is done once, with a timer of its own. A program without a database does not load
 * what ends the many statements of one. After the deadline the process reads the answers that it already has: it
 * may have been stopped meanwhile.
 *
 * @throws {StoreTimeoutError} If the work has not ended by then.
 */
export function endWithin<Result>(
  timeoutMs: number,
  action: string,
  work: Promise<Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(timeoutError(action, timeoutMs));
    let timer = setTimeout(() => {
      timer = setTimeout(giveUp, LAST_READ_MS);
    }, timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
