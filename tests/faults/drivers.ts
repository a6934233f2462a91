import type { PostgresClient } from "../../mod.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import type { Driver } from "./messages.ts";

/** An open driver; disposal closes it. */
export interface OpenDriver extends AsyncDisposable {
  readonly client: PostgresClient;
  /** Runs a statement on the pool itself, as another part of the program would. */
  query(text: string): Promise<unknown>;
}

/**
 * Opens a pool: each driver with its defaults, but for what it needs to live through faults. Where the
 * driver can give up a silent connection, it does so after `silenceMs`. `prepare` says whether the store's
 * statements are prepared.
 */
export function openDriver(
  driver: Driver,
  url: string,
  max: number = 4,
  silenceMs: number = 1000,
  prepare: boolean = true,
): OpenDriver {
  if (driver === "postgres.js") {
    const sql = postgres(url, { max, fetch_types: false, onnotice: () => {} });
    return {
      client: fromPostgresJs(sql, { prepare }),
      query: async (text) => await sql.unsafe(text),
      [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
    };
  }
  const pool = new pg.Pool({
    connectionString: url,
    max,
    // Without these, a connection whose network is gone keeps its place in the pool for minutes.
    connectionTimeoutMillis: silenceMs,
    query_timeout: silenceMs,
  });
  // An idle connection that the server ends is reported here, and is fatal without a listener.
  pool.on("error", () => {});
  return {
    client: fromNodePostgres(pool, { prepare }),
    query: async (text) => await pool.query(text),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
