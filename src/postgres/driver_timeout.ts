/**
 * When the time is over that a driver gives a statement or a connection.
 */

/** Two of node-postgres for connections, then that of its `query_timeout`. */
const MESSAGE =
  /^(?:timeout exceeded when trying to connect|Connection terminated due to connection timeout|timeout expired|Query read timeout)/;

/** postgres.js. */
const CODE = "CONNECT_TIMEOUT";

/**
 * A limit of a driver that is over sooner than this, in milliseconds, was never one: where a process is
 * stopped in the middle of its code, the runtime counts the timers that the code sets next from before the
 * stop, and they fire at once.
 */
const EARLY_MS = 500;

/** Whether an error, or its cause, says that a driver's own time was over. */
export function isDriverTimeout(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return saysSo(error) || saysSo(cause);
}

function saysSo(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === CODE || MESSAGE.test(String(message));
}

/** Whether a driver's time was over much too soon for a statement that was sent `ms` milliseconds ago. */
export function isEarlyTimeout(error: unknown, ms: number): boolean {
  return ms < EARLY_MS && isDriverTimeout(error);
}
