import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

for (const isolation of ["repeatable read", "serializable"]) {
  Deno.test(`conformance with ${isolation} as the default isolation`, async (t) => {
    await using database = await createDatabase();
    {
      await using admin = await openPostgresJs(database.url);
      await admin.client.query(
        `alter database "${database.name}" set default_transaction_isolation = '${isolation}'`,
      );
    }
    await using driver = await openPostgresJs(database.url);
    await conformanceSteps(t, sqlBackend(isolation, driver.client));
  });
}
