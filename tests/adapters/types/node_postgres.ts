/** The types of node-postgres fit its adapter, and the store as they are. Checked, never run. */

// @ts-types="@types/pg"
import type pg from "pg";
import { fromNodePostgres } from "../../../src/adapters/node_postgres.ts";
import type { PostgresClient } from "../../../src/types.ts";

declare const pool: pg.Pool;
declare const client: pg.Client;
declare const lent: pg.PoolClient;

export const bare: PostgresClient[] = [pool, client, lent];
export const clients: PostgresClient[] = [
  fromNodePostgres(pool),
  fromNodePostgres(pool, { prepare: false }),
  fromNodePostgres(client),
  fromNodePostgres(lent),
];

// @ts-expect-error The driver's types are known, not any.
pool.noSuchMethod();
// @ts-expect-error A configuration is not a client.
export const config: PostgresClient = {} as pg.PoolConfig;
// @ts-expect-error The class is not an instance of it.
fromNodePostgres({} as typeof pg.Pool);
// @ts-expect-error A configuration is not a pool.
fromNodePostgres({} as pg.PoolConfig);
// @ts-expect-error An option that does not exist.
fromNodePostgres(pool, { prepared: false });
