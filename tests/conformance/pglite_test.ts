import { openPglite } from "../support/clients.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

Deno.test("conformance on PGlite", async (t) => {
  await using driver = await openPglite();
  await conformanceSteps(t, sqlBackend("PGlite", driver.client));
});
