import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { countQueries, EmptiedTables } from "./emptied_tables.ts";

/** Longer than each case takes, and shorter than the steps of its clock. */
const BOUND_MS = 20_000;

/** What a store with a cache does later, or not at all: see docs/staleness.md. */
const EXCEPT = [
  // The first success of a key makes no row.
  "a key equal to what list() shows for an awkward key is another circuit",
  // Successes that wait are no use of the circuit in the database yet.
  "prune() spares a circuit that was reported to since",
  // The log has the successes that are counted at the moment of the trip.
  "the failure that reaches the threshold opens the circuit",
  // Successes count later for a rate, so that a circuit becomes suspect before it opens.
  "a rate opens the circuit from the least number of calls on",
  "a success opens the circuit where it makes the rate due",
  "calls leave the window of a rate",
  "slow calls open the circuit, whether or not they fail",
  "permits say how long their calls took, too",
  "an observing store counts slow calls, also those of permits",
  "reset() and closing forget the calls of a rate",
];

Deno.test("conformance with maxStalenessMs, for one instance alone", async (t) => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const tables = new EmptiedTables(driver.client, (table) => migrate(driver.client, table));
  await conformanceSteps(t, {
    name: "maxStalenessMs",
    // Its instances would see changes of each other late.
    isShared: false,
    async open(options) {
      const counted = countQueries(driver.client);
      const table = tables.next;
      const store = new PostgresCircuitBreakerStore(counted.client, table, {
        // A window slides on between two reads.
        maxStalenessMs: options?.failureWindowMs === undefined ? BOUND_MS : 0.5,
        ...options,
      });
      await tables.take();
      return {
        store,
        async [Symbol.asyncDispose]() {
          await store.close();
          await counted.idle();
          tables.giveBack(table);
        },
      };
    },
  }, EXCEPT);
});
