import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../mod.ts";
import type { ConformanceBackend, SharedCircuits } from "./session.ts";

/** Makes the table that a session uses; `migrate` by default. */
export type PrepareTable = (table: string) => Promise<void>;

/** A backend over any client: every session gets a table of its own. */
export function sqlBackend(
  name: string,
  client: PostgresClient,
  prepare: PrepareTable = (table) => migrate(client, table),
): ConformanceBackend {
  let sessions = 0;
  return {
    name,
    isShared: true,
    async open(options) {
      const table = `circuits_${++sessions}`;
      // Wrong options are refused before anything is made.
      const stores = [new PostgresCircuitBreakerStore(client, table, options)];
      await prepare(table);
      const shared: SharedCircuits = {
        another(own) {
          const store = new PostgresCircuitBreakerStore(client, table, own);
          stores.push(store);
          return store;
        },
        async row(key) {
          const { rows } = await client.query(
            `select version::text, probe_count::text, probe_expires_at::text,
              xmin::text || ctid::text as written
            from ${table} where key = $1::text`,
            [key],
          );
          return rows[0] && {
            version: Number(rows[0].version),
            probeCount: Number(rows[0].probe_count),
            probeExpiresAt: Number(rows[0].probe_expires_at),
            written: String(rows[0].written),
          };
        },
      };
      return {
        store: stores[0]!,
        shared,
        async [Symbol.asyncDispose]() {
          for (const store of stores) await store.close();
        },
      };
    },
  };
}
