import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

Deno.test("conformance on postgres.js", async (t) => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  await conformanceSteps(t, sqlBackend("postgres.js", driver.client));
});
