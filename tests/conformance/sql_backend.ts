import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../mod.ts";
import type { ConformanceBackend } from "./session.ts";

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
    async open(options) {
      const table = `circuits_${++sessions}`;
      await prepare(table);
      const store = new PostgresCircuitBreakerStore(client, table, options);
      return { store, [Symbol.asyncDispose]: () => store.close() };
    },
  };
}
