/**
 * How postgres.js opens connections while its server is in trouble.
 *
 * @module
 */

/** The part of `sql.options` that the driver reads anew for each connection. */
export interface ConnectionOptions {
  fetch_types?: boolean;
  shared?: { retries?: number; typeArrayMap?: object };
}

/**
 * After so many failed connections in a row the driver waits a quarter of a second before the next
 * one. Left alone it would wait up to 20 s, through which a database that is back stays out of
 * reach; the store asks at a pace of its own.
 */
const MAX_RETRIES = 2;

/**
 * Keeps two habits of the driver in check, before a statement: ever longer waits before it connects
 * again, and a query for array types with which each connection begins. Where that query fails,
 * nobody can catch the error, and the process dies. All connections share the types, so once they
 * are known, no further one need ask.
 */
export function tameReconnects(options: ConnectionOptions): void {
  const { shared } = options;
  if (shared === undefined) return;
  if (shared.retries !== undefined && shared.retries > MAX_RETRIES) shared.retries = MAX_RETRIES;
  if (options.fetch_types && hasEntries(shared.typeArrayMap)) options.fetch_types = false;
}

function hasEntries(map: object = {}): boolean {
  for (const _ in map) return true;
  return false;
}
