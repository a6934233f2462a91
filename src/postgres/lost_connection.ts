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
  "UND_ERR_SOCKET", // Node's fetch
  "ConnectionReset", // Deno
  "ConnectionAborted",
  "BrokenPipe",
  "UnexpectedEof",
];

/** node-postgres has no code for it, and neither has the fetch of Deno. */
const LOST_MESSAGE =
  /^Connection terminated unexpectedly|\bconnection closed before message completed|^Connection reset by peer|^error reading a body from connection/;

/** How deep causes are followed: they can form a circle. */
const MAX_DEPTH = 3;

/**
 * Whether an error says that an established connection was lost. A connection that could not be made
 * is another matter: the next one could not be made either.
 */
export function isConnectionLost(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  return sqlState === undefined ? isLost(error, 0) : ENDED_BY_SERVER.includes(sqlState);
}

/** A `fetch` that fails keeps the reason in its cause, and Neon's driver keeps the whole error. */
function isLost(error: unknown, depth: number): boolean {
  if (typeof error !== "object" || error === null || depth > MAX_DEPTH) return false;
  const { code, name, message, cause, sourceError } = error as Record<string, unknown>;
  return LOST.includes(code) || LOST.includes(name) || LOST_MESSAGE.test(String(message)) ||
    isLost(cause, depth + 1) || isLost(sourceError, depth + 1);
}
