import { sqlStateOf } from "./sql_state.ts";

/** What the server says to a connection that it ends. */
const ENDED_BY_SERVER: readonly string[] = [
  "57P01", // admin_shutdown, also for a single backend that was terminated
  "57P02", // crash_shutdown
  "08006", // connection_failure
];

/** Codes and names of what drivers throw for a connection that ended in the middle of a statement. */
const LOST: readonly unknown[] = [
  "ECONNRESET",
  "EPIPE",
  "CONNECTION_CLOSED", // postgres.js
  "ERR_POSTGRES_CONNECTION_CLOSED", // Bun
  "ConnectionReset", // Deno
  "ConnectionAborted",
  "BrokenPipe",
  "UnexpectedEof",
];

/** node-postgres has no code for it. */
const LOST_MESSAGE = /^Connection terminated unexpectedly/;

/**
 * Whether an error says that an established connection was lost. A connection that could not be made
 * is another matter: the next one could not be made either.
 */
export function isConnectionLost(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return ENDED_BY_SERVER.includes(sqlState);
  if (typeof error !== "object" || error === null) return false;
  const { code, name, message } = error as Record<string, unknown>;
  return LOST.includes(code) || LOST.includes(name) || LOST_MESSAGE.test(String(message));
}
