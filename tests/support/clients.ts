/**
 * Every driver that npm has, opened for real and wrapped as the store wants it.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPglite } from "../../src/adapters/pglite.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";

/** An open driver; disposal closes it. */
export interface OpenClient<Raw> extends AsyncDisposable {
  /** The driver through its adapter. */
  readonly client: PostgresClient;
  /** The driver itself. */
  readonly raw: Raw;
}

/** What all drivers with a server understand. */
export interface OpenOptions {
  /**
   * How many connections at most.
   *
   * @default {10}
   */
  max?: number;
  /**
   * Whether statements are prepared.
   *
   * @default {true}
   */
  prepare?: boolean;
}

/** Opens postgres.js. */
export function openPostgresJs(
  url: string,
  { max = 10, prepare = true }: OpenOptions = {},
): Promise<OpenClient<postgres.Sql>> {
  const raw = postgres(url, { max, fetch_types: false, onnotice: () => {} });
  return Promise.resolve({
    client: fromPostgresJs(raw, { prepare }),
    raw,
    [Symbol.asyncDispose]: () => raw.end({ timeout: 5 }),
  });
}

/** Opens a pool of node-postgres. */
export function openNodePostgres(
  url: string,
  { max = 10, prepare = true }: OpenOptions = {},
): Promise<OpenClient<pg.Pool>> {
  const raw = new pg.Pool({ connectionString: url, max });
  // An idle connection that the server ends is reported here, and is fatal without a listener.
  raw.on("error", () => {});
  return Promise.resolve({
    client: fromNodePostgres(raw, { prepare }),
    raw,
    [Symbol.asyncDispose]: () => raw.end(),
  });
}

/** Starts a PGlite, which takes a few seconds. */
export async function openPglite(): Promise<OpenClient<PGlite>> {
  const raw = await PGlite.create();
  return {
    client: fromPglite(raw),
    raw,
    [Symbol.asyncDispose]: () => raw.close(),
  };
}
