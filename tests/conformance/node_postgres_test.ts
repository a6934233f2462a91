import { openNodePostgres } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

Deno.test("conformance on node-postgres", async (t) => {
  await using database = await createDatabase();
  await using driver = await openNodePostgres(database.url);
  await conformanceSteps(t, sqlBackend("node-postgres", driver.client));
});
