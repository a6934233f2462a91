/**
 * The server's own log: what it says of errors that no client shows, such as a deadlock whose victim is
 * sent again.
 *
 * @module
 */

import type { PostgresServer } from "../support/postgres_server.ts";

/** Settings of a server that keeps one log over restarts, with SQLSTATE and application name. */
export const LOG_SETTINGS: Record<string, string> = {
  logging_collector: "on",
  log_directory: "log",
  log_filename: "server.log",
  log_truncate_on_rotation: "off",
  log_rotation_age: "0",
  log_rotation_size: "0",
  log_line_prefix: "<%e|%a> ",
  deadlock_timeout: "100ms",
};

/** Settings of a server whose queue of notifications is soon full, where it has such a setting. */
export const SMALL_QUEUE: Record<string, string> = Number(Deno.env.get("PG_VERSION") || "18") >= 17
  ? { max_notify_queue_pages: "64" }
  : {};

/** An error as the server logged it. */
export interface LoggedError {
  sqlState: string;
  application: string;
  message: string;
}

/** Every ERROR and FATAL that the server logged. */
export async function readErrors(server: PostgresServer): Promise<LoggedError[]> {
  const text = await Deno.readTextFile(`${server.dataDirectory}/log/server.log`);
  const found: LoggedError[] = [];
  const pattern = /^<([0-9A-Z]{5})\|([^>]*)> (?:ERROR|FATAL|PANIC): {2}(.*)$/gm;
  for (const [, sqlState, application, message] of text.matchAll(pattern)) {
    found.push({ sqlState: sqlState!, application: application!, message: message! });
  }
  return found;
}
