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
 * As many failed connections in a row the driver may remember: it waits less than a tenth of a second
 * before the next one then. Left alone it would wait up to 20 s, through which a database that is
 * back stays out of reach, and a process that wants to end does not.
 */
const MAX_RETRIES = 2;

/**
 * Bounds how many failed connections in a row the driver remembers, whoever uses it: other parts of
 * the program fail too while the server is away.
 */
export function capRetries({ shared }: ConnectionOptions): void {
  if (shared?.retries === undefined) return;
  let retries = Math.min(shared.retries, MAX_RETRIES);
  Object.defineProperty(shared, "retries", {
    configurable: true,
    enumerable: true,
    get: () => retries,
    set: (value: number) => {
      retries = Math.min(value, MAX_RETRIES);
    },
  });
}

/**
 * Drops the query for array types with which each connection begins, once they are known: all
 * connections share them. Where that query fails, nobody can catch the error, and the process dies.
 */
export function keepTypes(options: ConnectionOptions): void {
  if (options.fetch_types && hasEntries(options.shared?.typeArrayMap)) options.fetch_types = false;
}

function hasEntries(map: object = {}): boolean {
  for (const _ in map) return true;
  return false;
}
