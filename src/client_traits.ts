/**
 * What the store may know of a client beyond its methods.
 *
 * @module
 */

import type { PostgresClient } from "./types.ts";

/**
 * Runs one statement on a connection that no other statement shares meanwhile. The server may close
 * that connection from inside the statement, as `pg_terminate_backend(pg_backend_pid())` does: only
 * this statement fails, later ones get another connection, and the process goes on.
 */
export type RunAlone = PostgresClient["query"];

/**
 * The property in which an adapter offers {@linkcode RunAlone}, `undefined` where its driver does not
 * survive that. Where it is absent, {@linkcode runAloneOf} looks at the client itself.
 */
export const RUN_ALONE: unique symbol = Symbol.for("@circuit-breaker/postgres/run-alone");

/** A client that says so. */
export interface MarkedClient extends PostgresClient {
  readonly [RUN_ALONE]: RunAlone | undefined;
}

/**
 * How a client runs a statement alone at the moment: pools of the adapters with drivers that were
 * proved to survive it, and a bare `pg.Pool` that has an `error` listener, because without one a lost
 * idle connection ends the process. `undefined` for all else: a single connection has no other, and a
 * transaction would be lost.
 */
export function runAloneOf(client: PostgresClient): RunAlone | undefined {
  if (RUN_ALONE in client) {
    const run = (client as MarkedClient)[RUN_ALONE];
    return typeof run === "function" ? run : undefined;
  }
  return isGuardedPgPool(client) ? (text, params) => client.query(text, params) : undefined;
}

/** The part of a `pg.Pool` that a `pg.Client` does not have. */
interface Pool {
  totalCount: number;
  idleCount: number;
  connect(): unknown;
  listenerCount(event: string): number;
}

/** Whether a value is a `pg.Pool` with an `error` listener. */
export function isGuardedPgPool(client: object): boolean {
  const pool = client as Partial<Pool>;
  return typeof pool.totalCount === "number" && typeof pool.idleCount === "number" &&
    typeof pool.connect === "function" && typeof pool.listenerCount === "function" &&
    pool.listenerCount("error") > 0;
}
