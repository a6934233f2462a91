import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { conformanceSteps } from "./deno_steps.ts";
import { sqlBackend } from "./sql_backend.ts";

/** No calls share a statement. */
const EXCEPT = ["calls that share a statement are judged once, after all of them"];

Deno.test("conformance with waitUntil", async (t) => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const work: Promise<unknown>[] = [];
  const waitUntil = (each: Promise<unknown>) => void work.push(each);
  await conformanceSteps(
    t,
    sqlBackend("waitUntil", driver.client, undefined, undefined, { waitUntil }),
    EXCEPT,
  );
  // What was begun ends, and never rejects.
  await Promise.all(work);
});
