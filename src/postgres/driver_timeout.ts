/**
 * When the time is over that a driver gives a statement or a connection.
 */

/** Two of node-postgres for connections, then that of its `query_timeout`. */
const MESSAGE =
  /^(?:timeout exceeded when trying to connect|Connection terminated due to connection timeout|timeout expired|Query read timeout)/;

/** postgres.js. */
const CODE = "CONNECT_TIMEOUT";

/** Whether an error, or its cause, says that a driver's own time was over. */
export function isDriverTimeout(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return saysSo(error) || saysSo(cause);
}

function saysSo(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === CODE || MESSAGE.test(String(message));
}
