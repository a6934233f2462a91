/**
 * The adapter for {@link https://pglite.dev | PGlite}, PostgreSQL inside the process.
 *
 * A bare PGlite works without it.
 *
 * @example
 * ```ts
 * import { PGlite } from "@electric-sql/pglite";
 * import { assertEquals } from "@std/assert";
 * import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromPglite } from "@circuit-breaker/postgres/pglite";
 *
 * const db = new PGlite();
 * const client = fromPglite(db);
 * await migrate(client);
 * const store = new PostgresCircuitBreakerStore(client);
 * assertEquals((await store.recordFailure("api")).failureCount, 1);
 *
 * await store.close();
 * await db.close(); // the store never closes a client that it did not open
 * ```
 *
 * @module
 */

import type { PostgresClient } from "../types.ts";
import { having, wrongDriver } from "./argument.ts";
import { type Listen, Subscription } from "./subscription.ts";

/** The part of PGlite that the adapter uses. */
export interface PgliteLike {
  /** Runs one statement and returns its rows keyed by column. */
  query(text: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
  /** Not called; it distinguishes PGlite from other drivers that have a `query`. */
  exec(text: string): Promise<unknown>;
}

/**
 * Makes a client for the store from PGlite. Errors reach the caller as PGlite threw them.
 *
 * Of a PGlite, the client can `listen`. A transaction has no `listen`, and neither has a PGlite worker,
 * whose channels end unnoticed with the tab that leads.
 *
 * @throws {TypeError} If `db` is not a PGlite.
 * @param db A PGlite, a PGlite worker, or a transaction of one.
 * @returns A client that the store accepts. It owns nothing: closing `db` is the caller's affair.
 */
export function fromPglite(db: PgliteLike): PostgresClient {
  if (!having(db, "query", "exec")) {
    throw wrongDriver("PGlite", "a PGlite", db);
  }
  const listen = listenOf(db);
  return {
    ...listen && { listen },
    async query(text, params = []) {
      const { rows } = await db.query(text, params);
      return { rows: rows as Record<string, unknown>[] };
    },
  };
}

function listenOf(db: PgliteLike): Listen | undefined {
  if (!having(db, "listen", "transaction") || having(db, "onLeaderChange")) return;
  const { listen } = db as unknown as { listen: Listen };
  return async (channel, onNotification) => {
    const subscription = new Subscription(onNotification);
    const unlisten = await listen.call(db, channel, (payload) => subscription.deliver(payload));
    return async () => {
      // A database that was closed rejects, and has no channels left.
      if (subscription.end()) await unlisten().catch(() => {});
    };
  };
}
