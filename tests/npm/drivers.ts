/**
 * Opens a driver of the project that a program runs in.
 *
 * @module
 */

import type { PostgresClient } from "../../mod.ts";
import { type BunSqlLike, fromBunSql } from "../../src/adapters/bun_sql.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

/** A driver with its adapter. */
export interface Driver {
  readonly client: PostgresClient;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 4;

/** How each driver is opened, by the name of its package. */
export const DRIVERS: Readonly<Record<string, (url: string) => Promise<Driver>>> = {
  async pg(url) {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({ connectionString: url, max: MAX_CONNECTIONS });
    return { client: fromNodePostgres(pool), close: () => pool.end() };
  },
  async postgres(url) {
    const { default: postgres } = await import("postgres");
    const sql = postgres(url, { max: MAX_CONNECTIONS, onnotice: () => {} });
    return { client: fromPostgresJs(sql), close: () => sql.end() };
  },
  bun(url) {
    // Bun's own types would replace those of the web platform in all files checked with this one.
    const { Bun } = globalThis as unknown as {
      Bun: {
        SQL: new (options: { url: string; max: number }) => BunSqlLike & { close(): Promise<void> };
      };
    };
    const sql = new Bun.SQL({ url, max: MAX_CONNECTIONS });
    return Promise.resolve({ client: fromBunSql(sql), close: () => sql.close() });
  },
};
