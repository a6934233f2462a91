import { assert, assertEquals } from "@std/assert";
import { isCircuitBreakerStoreError, migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { conformanceSteps } from "../conformance/deno_steps.ts";
import { failureOf } from "../conformance/session.ts";
import { sqlBackend } from "../conformance/sql_backend.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { createRole as createBareRole, type Role } from "../support/role.ts";
import { until } from "../support/until.ts";

Deno.test("conformance with exactly the privileges that a migration grants", async (t) => {
  await using database = await createDatabase();
  await using admin = await openPostgresJs(database.url);
  await using role = await createRole(database, (sql) => admin.client.query(sql));
  await using driver = await openPostgresJs(role.url);
  await conformanceSteps(
    t,
    sqlBackend("restricted role", driver.client, async (table) => {
      await migrate(admin.client, table, { grantTo: role.name });
    }, admin.client),
  );
});

Deno.test("the privileges of run time are enough for every method, and for migrate and check", async () => {
  await using database = await createDatabase();
  await using admin = await openPostgresJs(database.url);
  await using role = await createRole(database, (sql) => admin.client.query(sql));
  await using driver = await openPostgresJs(role.url);
  await migrate(admin.client, undefined, { grantTo: role.name });
  await migrate(driver.client);
  for (const maxStalenessMs of [undefined, 50]) {
    await using store = new PostgresCircuitBreakerStore(driver.client, undefined, {
      maxStalenessMs,
      resetTimeoutMs: 1,
    });
    await store.check();
    await store.recordFailure("api");
    await store.recordSuccess("api");
    await store.transition("api", "open");
    await until(async () => (await store.getState("api")).state === "half-open");
    await store.recordSuccess("api");
    await store.forceOpen("other", { reason: "test" });
    await store.forceClosed("third");
    await store.release("other");
    assertEquals((await store.peek(["api"])).length, 1);
    assertEquals((await store.list()).length, 2);
    assert((await store.history()).length > 0);
    await store.reset("api");
    await store.prune({ idleMs: 0 });
  }
});

Deno.test("a role without privileges gets the server's reason, whatever it calls", async () => {
  await using database = await createDatabase();
  await using admin = await openPostgresJs(database.url);
  await using role = await createRole(database, (sql) => admin.client.query(sql));
  await using driver = await openPostgresJs(role.url);
  await admin.client.query(`grant usage on schema public to ${role.quoted}`);
  await migrate(admin.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  const calls = [
    () => store.getState("api"),
    () => store.recordSuccess("api"),
    () => store.recordFailure("api"),
    () => store.transition("api", "open"),
    () => store.reset("api"),
    () => store.peek("api"),
    () => store.list(),
  ];
  for (const call of calls) {
    const error = await failureOf(call);
    assertEquals(isCircuitBreakerStoreError(error) && error.sqlState, "42501", call.toString());
    assertEquals((error as Error).cause instanceof Error, true);
  }
});

/** A role that can connect and do nothing else. */
async function createRole(
  database: TestDatabase,
  run: (sql: string) => Promise<unknown>,
): Promise<Role> {
  const role = await createBareRole(database, run);
  await run(`revoke all on database "${database.name}" from public`);
  await run("revoke all on schema public from public");
  await run(`grant connect on database "${database.name}" to ${role.quoted}`);
  return role;
}
