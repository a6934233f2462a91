/** The types of PGlite fit its adapter, and the store as they are. Checked, never run. */

import type { PGlite, Transaction } from "@electric-sql/pglite";
import { fromPglite } from "../../../src/adapters/pglite.ts";
import type { PostgresClient } from "../../../src/types.ts";

declare const db: PGlite;
declare const transaction: Transaction;

export const bare: PostgresClient[] = [db, transaction];
export const clients: PostgresClient[] = [
  fromPglite(db),
  fromPglite(transaction),
];

// @ts-expect-error The driver's types are known, not any.
db.noSuchMethod();
// @ts-expect-error The class is not an instance of it.
export const constructor: PostgresClient = {} as typeof PGlite;
// @ts-expect-error A promise of a PGlite, as PGlite.create() returns, is not one.
fromPglite({} as Promise<PGlite>);
// @ts-expect-error PGlite has no options here.
fromPglite(db, { prepare: false });
