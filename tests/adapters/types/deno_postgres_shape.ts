/** What Deno Postgres declares, in its own words, fits its adapter. Checked, never run. */

import { fromDenoPostgres } from "../../../src/adapters/deno_postgres.ts";
import type { PostgresClient } from "../../../src/types.ts";

type Arguments = unknown[] | Record<string, unknown>;

interface ObjectResult<T> {
  rows: T[];
  columns?: string[];
  rowCount?: number;
}

interface Client {
  connect(): Promise<void>;
  queryObject<T>(query: string, args?: Arguments): Promise<ObjectResult<T>>;
  queryObject<T>(config: { text: string; camelCase?: boolean }): Promise<ObjectResult<T>>;
  queryObject<T>(query: TemplateStringsArray, ...args: unknown[]): Promise<ObjectResult<T>>;
}

interface PoolClient extends Client {
  end(): Promise<void>;
  release(): void;
}

interface Pool {
  readonly size: number;
  connect(): Promise<PoolClient>;
  end(): Promise<void>;
}

declare const pool: Pool;
declare const client: Client;
declare const lent: PoolClient;

export const clients: PostgresClient[] = [
  fromDenoPostgres(pool),
  fromDenoPostgres(client),
  fromDenoPostgres(lent),
  fromDenoPostgres(() => pool),
];

export const ended: Promise<void> = fromDenoPostgres(() => pool).end();

// @ts-expect-error Deno Postgres has no query: it needs the adapter.
export const bare: PostgresClient = pool;
// @ts-expect-error A pool whose connections cannot be given back.
fromDenoPostgres({ connect: () => Promise.resolve(client) });
// @ts-expect-error A function that makes clients.
fromDenoPostgres(() => client);
// @ts-expect-error The caller that made the pool ends it.
fromDenoPostgres(pool).end();
// @ts-expect-error Deno Postgres has no options here.
fromDenoPostgres(pool, { prepare: false });
