import { neon } from "@neondatabase/serverless";
import { fromNeon } from "../../src/adapters/neon.ts";
import { createDatabase } from "../support/database.ts";
import { startNeonEndpoint } from "../support/neon_endpoint.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

Deno.test("conformance on Neon over HTTP", async (t) => {
  await using database = await createDatabase();
  await using _endpoint = startNeonEndpoint();
  await conformanceSteps(t, sqlBackend("Neon", fromNeon(neon(database.url))));
});
