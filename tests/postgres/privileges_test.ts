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

/** The blocks of SQL in the section of `docs/operations.md` on privileges, for these roles. */
async function grantsOfThePage(gateway: Role, analyst: Role): Promise<string[]> {
  const page = await Deno.readTextFile(new URL("../../docs/operations.md", import.meta.url));
  const [section = ""] = /^## Privileges$[^]*?(?=^## )/m.exec(page) ?? [];
  return [...section.matchAll(/^```sql\n([^]*?)^```$/gm)].map(([, sql = ""]) =>
    sql.replaceAll("to gateway", `to ${gateway.quoted}`)
      .replaceAll("to analyst", `to ${analyst.quoted}`)
  );
}

Deno.test("the grants of docs/operations.md are those of a migration, and enough", async () => {
  await using database = await createDatabase();
  await using admin = await openPostgresJs(database.url);
  const run = (sql: string) => admin.client.query(sql);
  await using byPage = await createRole(database, run, "page");
  await using byMigration = await createRole(database, run, "migration");
  await using analyst = await createRole(database, run, "analyst");
  await migrate(admin.client);
  const [grants, view, ...others] = await grantsOfThePage(byPage, analyst);
  assertEquals(others, []);
  for (const statement of `${grants}${view}`.split(";").filter((sql) => sql.trim() !== "")) {
    await run(statement);
  }
  await migrate(admin.client, undefined, { grantTo: byMigration.name });

  const privilegesOf = async ({ name }: Role) =>
    (await admin.client.query(
      `select class.relname::text || ' ' || entry.privilege_type as privilege
        from pg_class as class cross join aclexplode(class.relacl) as entry
        join pg_roles as role on role.oid = entry.grantee where role.rolname = $1
      union all
      select 'schema ' || entry.privilege_type
        from pg_namespace as home cross join aclexplode(home.nspacl) as entry
        join pg_roles as role on role.oid = entry.grantee where role.rolname = $1
      order by 1`,
      [name],
    )).rows.map(({ privilege }) => privilege);
  const privileges = await privilegesOf(byPage);
  assertEquals(privileges, await privilegesOf(byMigration));
  assert(privileges.includes("schema USAGE"), privileges.join());

  await using driver = await openPostgresJs(byPage.url);
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client, { maxStalenessMs: 50 });
  await store.check();
  await store.forceOpen("payments", { reason: "test" });
  assertEquals((await store.history()).length, 1);

  await using looking = await openPostgresJs(analyst.url);
  const { rows } = await looking.client.query(
    "select key, state from stoma_circuit_breakers_overview",
  );
  assertEquals(rows.map((row) => ({ ...row })), [{ key: "payments", state: "open" }]);
  const timeline = await looking.client.query("select key from stoma_circuit_breakers_timeline");
  assertEquals(timeline.rows.length, 1);
  const error = await failureOf(() => looking.client.query("select from stoma_circuit_breakers"));
  assert(error instanceof Error);
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
  suffix?: string,
): Promise<Role> {
  const role = await createBareRole(database, run, suffix);
  await run(`revoke all on database "${database.name}" from public`);
  await run("revoke all on schema public from public");
  await run(`grant connect on database "${database.name}" to ${role.quoted}`);
  return role;
}
