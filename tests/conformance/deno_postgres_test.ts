import { fromDenoPostgres } from "../../src/adapters/deno_postgres.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";
// Computed, so that Deno does not fetch the driver before the test is known to run.
const DRIVER = ["@db", "postgres"].join("/");

Deno.test({
  name: `conformance on Deno Postgres${REACHABLE ? "" : " (ignored: JSR is not reachable)"}`,
  ignore: !REACHABLE,
  async fn(t) {
    const { Pool } = await import(DRIVER);
    await using database = await createDatabase();
    const pool = new Pool(database.url, 4, true);
    try {
      await conformanceSteps(t, sqlBackend("Deno Postgres", fromDenoPostgres(pool)));
    } finally {
      await pool.end();
    }
  },
});
