import { assert, assertEquals, assertRejects } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, SchemaError } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("onError reports at once that a table is missing, once for all calls", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const errors: Error[] = [];
  await using store = new PostgresCircuitBreakerStore(driver.client, {
    onError: (error) => errors.push(error),
  });
  // What a gateway does for each request: its policy swallows both errors.
  for (let request = 0; request < 5; request++) {
    await assertRejects(() => store.getState("api"), SchemaError);
    await assertRejects(() => store.recordSuccess("api"), SchemaError);
  }
  assertEquals(errors.map(({ message }) => message), [
    'Cannot read circuit: the table "stoma_circuit_breakers" does not exist, run ' +
    "migrate(client, table) first",
  ]);
  // An operator's program sees the errors of its calls itself.
  await migrate(driver.client);
  await driver.raw`alter table stoma_circuit_breakers drop column forced_reason cascade`;
  await assertRejects(() => store.forceOpen("api"), SchemaError);
  assertEquals(errors.length, 1);
});

Deno.test("onError reports an outage also where calls are answered locally", async () => {
  const errors: Error[] = [];
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const client = { query: () => Promise.reject(refused) };
  await using store = new PostgresCircuitBreakerStore(client, {
    onOutage: "local",
    onError: (error) => errors.push(error),
  });
  assertEquals((await store.recordFailure("api")).failureCount, 1);
  assertEquals(errors.length, 1);
  assert(errors[0]!.message.includes("ECONNREFUSED"), errors[0]!.message);
});

Deno.test("onError reports what fails in the background", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  await migrate(driver.client);
  const reported = Promise.withResolvers<Error>();
  await using store = new PostgresCircuitBreakerStore(driver.client, {
    maxStalenessMs: 20,
    onError: reported.resolve,
  });
  await store.getState("api");
  await driver.raw`alter table stoma_circuit_breakers_changes rename to elsewhere`;
  assert(await reported.promise instanceof SchemaError);
});
