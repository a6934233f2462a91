/** The types of Neon's driver fit its adapter, and those of its pool fit that of node-postgres. Checked, never run. */

import type { neon, NeonQueryFunction, Pool } from "@neondatabase/serverless";
import { fromNeon } from "../../../src/adapters/neon.ts";
import { fromNodePostgres } from "../../../src/adapters/node_postgres.ts";
import type { PostgresClient } from "../../../src/types.ts";

declare const sql: NeonQueryFunction<false, false>;
declare const full: NeonQueryFunction<false, true>;
declare const arrays: NeonQueryFunction<true, false>;
declare const fullArrays: NeonQueryFunction<true, true>;
declare const pool: Pool;

export const clients: PostgresClient[] = [
  fromNeon(sql),
  fromNeon(full),
  fromNeon(arrays),
  fromNeon(fullArrays, { timeoutMs: 2000 }),
  fromNodePostgres(pool),
];

// @ts-expect-error The driver's types are known, not any.
sql.noSuchMethod();
// @ts-expect-error The function returns rows in another form: it needs the adapter.
export const bare: PostgresClient = sql;
// @ts-expect-error The function that makes a sql is not a sql.
fromNeon({} as typeof neon);
// @ts-expect-error An option that does not exist.
fromNeon(sql, { timeout: 2000 });
// @ts-expect-error A pool is for the other adapter.
fromNeon(pool);
