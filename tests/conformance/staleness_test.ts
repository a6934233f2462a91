import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";

/** Longer than each case takes, and shorter than the steps of its clock. */
const BOUND_MS = 20_000;

/** What a store with a cache does later, or not at all: see the README on bounded staleness. */
const EXCEPT = [
  // The first success of a key makes no row.
  "a key equal to what list() shows for an awkward key is another circuit",
  // Successes that wait are no use of the circuit in the database yet.
  "prune() spares a circuit that was reported to since",
];

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
        maxStalenessMs: options?.failureWindowMs === undefined ? BOUND_MS : 0.5,
        ...options,
      });
      return { store, [Symbol.asyncDispose]: () => store.close() };
    },
  }, EXCEPT);
});
