import { openNodePostgres } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { pooledTest, startPgBouncer } from "../support/pgbouncer.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

/** Server connections that all clients share: fewer than the pool opens. */
const POOL_SIZE = 3;

pooledTest(
  "conformance on node-postgres through PgBouncer in transaction mode",
  async (t, pgBouncer) => {
    await using database = await createDatabase();
    await using pooler = await startPgBouncer(pgBouncer, POOL_SIZE);
    await using driver = await openNodePostgres(pooler.urlOf(database.name), { prepare: false });
    await conformanceSteps(t, sqlBackend("node-postgres", driver.client));
  },
);
