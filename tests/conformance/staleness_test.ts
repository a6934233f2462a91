import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";

Deno.test("conformance with maxStalenessMs, for one instance alone", async (t) => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  let sessions = 0;
  await conformanceSteps(t, {
    name: "maxStalenessMs",
    // Its instances would see changes of each other late.
    isShared: false,
    async open(options) {
      const table = `circuits_${++sessions}`;
      await migrate(driver.client, table);
      const store = new PostgresCircuitBreakerStore(driver.client, table, {
        // A window slides on between two reads.
        maxStalenessMs: options?.failureWindowMs === undefined ? 60_000 : 0.5,
        ...options,
      });
      const { list } = store;
      store.list = async (options) => {
        // prune counts the waiting successes. Before that, list does not have a new circuit.
        await store.prune({ idleMs: 1e12 });
        return await list.call(store, options);
      };
      return { store, [Symbol.asyncDispose]: () => store.close() };
    },
  });
});
