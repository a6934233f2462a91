import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

/** The strictest level: each error of the levels below can come at it as well. */
const ISOLATION = "serializable";

Deno.test(`conformance with ${ISOLATION} as the default isolation`, async (t) => {
  await using database = await createDatabase();
  {
    await using admin = await openPostgresJs(database.url);
    await admin.client.query(
      `alter database "${database.name}" set default_transaction_isolation = '${ISOLATION}'`,
    );
  }
  await using driver = await openPostgresJs(database.url);
  await conformanceSteps(t, sqlBackend(ISOLATION, driver.client));
});
