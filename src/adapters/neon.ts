/**
 * The adapter for {@link https://github.com/neondatabase/serverless | @neondatabase/serverless}, which
 * sends each statement to Neon in a request of its own over HTTP.
 *
 * @example
 * ```ts
 * import { neon } from "@neondatabase/serverless";
 * import { PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromNeon } from "@circuit-breaker/postgres/neon";
 *
 * const sql = neon("postgres://app:secret@ep-example.neon.tech/app");
 * const store = new PostgresCircuitBreakerStore(fromNeon(sql, { timeoutMs: 2000 }));
 *
 * await store.close(); // there is no connection to end
 * ```
 *
 * @module
 */

import { assertMilliseconds, assertOptions } from "../options/check.ts";
import { withDeadline } from "../time/deadlines.ts";
import type { PostgresClient } from "../types.ts";
import { isNeon, wrongDriver } from "./argument.ts";

/** What the adapter asks of the driver for each statement. */
export interface NeonQueryOptions {
  /** Rows keyed by column, whatever the function was made with. */
  arrayMode?: false;
  /** The rows inside of a result, whatever the function was made with. */
  fullResults?: true;
  /** What the driver passes on to `fetch`. */
  fetchOptions?: Record<string, unknown>;
}

/** The part of the function that `neon(url)` returns which the adapter uses. */
export interface NeonLike {
  /** Runs a statement given as text. */
  query(
    text: string,
    params?: unknown[],
    options?: NeonQueryOptions,
  ): PromiseLike<{ rows: unknown[] }>;
  /** Not called; it distinguishes Neon from other drivers that have a `query`. */
  transaction(queries: never): unknown;
}

/** Options of {@linkcode fromNeon}. */
export interface FromNeonOptions {
  /**
   * How long a request may take, in milliseconds, above 0. The adapter then aborts it and rejects with
   * a `StoreTimeoutError`. Choose more than the `timeoutMs` of the store, which gives up the call: this
   * one gives up the request, so that requests without an answer do not pile up. `migrate` needs more
   * where it has to rewrite a large table of Stoma's own store.
   *
   * @default {10_000}
   */
  timeoutMs?: number | undefined;
}

/**
 * Makes a client for the store from Neon's function for HTTP, with or without `fullResults` and
 * `arrayMode`. Errors reach the caller as the driver threw them; the SQLSTATE is in their `code`.
 *
 * There is no connection to keep: nothing stays prepared, and a process that was frozen finds nothing
 * lost. The client cannot `listen`: the store asks at intervals instead. The adapter's abort signal takes
 * the place of a `signal` in the `fetchOptions` of `neon()`; its other options stay.
 *
 * A `Pool` or `Client` of the package connects over WebSockets and has the interface of node-postgres:
 * pass it to `fromNodePostgres`.
 *
 * @throws {TypeError} If `sql` is not Neon's function, or `timeoutMs` is no number.
 * @throws {RangeError} If `timeoutMs` is out of its range.
 * @param sql What `neon(url)` of `@neondatabase/serverless` 1.0 or later returns.
 * @param options How long a request may take.
 * @returns A client that the store accepts.
 */
export function fromNeon(sql: NeonLike, options: FromNeonOptions = {}): PostgresClient {
  if (!isNeon(sql)) {
    throw wrongDriver("Neon", "the function that neon(url) returns, of version 1.0 or later", sql);
  }
  assertOptions("wrap Neon", options, ["timeoutMs"]);
  const { timeoutMs = 10_000 } = options;
  assertMilliseconds("wrap Neon", "timeoutMs", timeoutMs);
  return {
    async query(text, params = []) {
      const abort = new AbortController();
      const request = sql.query(text, params, {
        arrayMode: false,
        fullResults: true,
        fetchOptions: { signal: abort.signal },
      });
      try {
        // On a timer of its own: in some runtimes a timer belongs to the request that set it.
        const { rows } = await withDeadline(timeoutMs, "query Neon", Promise.resolve(request));
        return { rows: rows as Record<string, unknown>[] };
      } catch (error) {
        abort.abort();
        throw error;
      }
    },
  };
}
