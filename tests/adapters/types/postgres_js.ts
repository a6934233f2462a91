/** The types of postgres.js fit its adapter. Checked, never run. */

import type postgres from "postgres";
import { fromPostgresJs } from "../../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../../src/types.ts";

declare const sql: postgres.Sql;
declare const typed: postgres.Sql<{ bigint: bigint }>;
declare const transaction: postgres.TransactionSql;
declare const reserved: postgres.ReservedSql;

export const clients: PostgresClient[] = [
  fromPostgresJs(sql),
  fromPostgresJs(sql, { prepare: false }),
  fromPostgresJs(typed),
  fromPostgresJs(transaction),
  fromPostgresJs(reserved),
];

// @ts-expect-error The driver's types are known, not any.
sql.noSuchMethod();
// @ts-expect-error postgres.js has no query: it needs the adapter.
export const bare: PostgresClient = sql;
// @ts-expect-error A connection string is not a driver.
fromPostgresJs("postgres://localhost/app");
// @ts-expect-error The function that makes a sql is not a sql.
fromPostgresJs({} as typeof postgres);
// @ts-expect-error An option that does not exist.
fromPostgresJs(sql, { prepared: false });
// @ts-expect-error A driver whose unsafe does not return rows.
fromPostgresJs({ unsafe: (text: string) => Promise.resolve(text.length) });
