import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { countQueries, EmptiedTables, type PrepareTable } from "./emptied_tables.ts";
import type { ConformanceBackend, SharedCircuits } from "./session.ts";

/**
 * A backend over any client: no two sessions use a table at once.
 *
 * @param prepare Makes a table; `migrate` by default.
 * @param owner A client whose role owns the tables, where the client's own does not.
 * @param more Options of all its stores.
 */
export function sqlBackend(
  name: string,
  client: PostgresClient,
  prepare: PrepareTable = (table) => migrate(client, table),
  owner: PostgresClient = client,
  more: PostgresCircuitBreakerStoreOptions = {},
): ConformanceBackend {
  const tables = new EmptiedTables(owner, prepare);
  return {
    name,
    isShared: true,
    async open(options) {
      const counted = countQueries(client);
      const table = tables.next;
      // Wrong options are refused before anything is made.
      const stores = [
        new PostgresCircuitBreakerStore(counted.client, table, { ...more, ...options }),
      ];
      await tables.take();
      const shared: SharedCircuits = {
        another(own) {
          const store = new PostgresCircuitBreakerStore(counted.client, table, { ...more, ...own });
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
          await counted.idle();
          tables.giveBack(table);
        },
      };
    },
  };
}
