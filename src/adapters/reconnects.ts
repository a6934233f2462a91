/**
 * How postgres.js opens connections while its server is in trouble.
 *
 * @module
 */

import { type PacedOptions, ReconnectPace } from "./reconnect_pace.ts";

/** The part of `sql.options` that the driver reads anew for each connection. */
export interface ConnectionOptions extends PacedOptions {
  fetch_types?: boolean;
  shared?: { retries?: number; typeArrayMap?: object };
}

/**
 * As many failed connections in a row the driver may remember: it waits less than a tenth of a second
 * before the next one then. Left alone it would wait up to 20 s, through which a database that is
 * back stays out of reach, and a process that wants to end does not.
 */
const MAX_RETRIES = 2;

const paces = new WeakMap<object, ReconnectPace>();
const paced = new WeakSet<object>();

/**
 * Bounds how many failed connections in a row the driver remembers, and how often it connects to a
 * server that closes each connection, for every user of the pool: other parts of the program fail too
 * while the server is away.
 */
export function boundReconnects(options: ConnectionOptions): void {
  const { shared } = options;
  if (shared?.retries === undefined || paced.has(options)) return;
  paced.add(options);
  let pace = paces.get(shared);
  if (pace === undefined) {
    pace = new ReconnectPace();
    paces.set(shared, pace);
    capRetries(shared as { retries: number }, pace);
  }
  pace.add(options);
}

/** The driver counts each connection that failed, and sets 0 for one that is ready. */
function capRetries(shared: { retries: number }, pace: ReconnectPace): void {
  let retries = Math.min(shared.retries, MAX_RETRIES);
  Object.defineProperty(shared, "retries", {
    configurable: true,
    enumerable: true,
    get: () => retries,
    set: (value: number) => {
      retries = Math.min(value, MAX_RETRIES);
      if (value === 0) pace.answered();
      else pace.failed();
    },
  });
}

/**
 * Drops the query for array types with which each connection begins, once they are known: all
 * connections share them. Where that query fails, no code can catch the error, and the process ends.
 */
export function keepTypes(options: ConnectionOptions): void {
  if (options.fetch_types && hasEntries(options.shared?.typeArrayMap)) options.fetch_types = false;
}

function hasEntries(map: object = {}): boolean {
  for (const _ in map) return true;
  return false;
}
