import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { migrate } from "../../src/postgres/migrate.ts";
import { schemaSql } from "../../src/postgres/schema.ts";
import { connect } from "../support/database.ts";
import { describeSchema } from "../support/describe_table.ts";
import { createRole } from "../support/role.ts";
import { loadStomaAdapters } from "../support/stoma.ts";
import { assertSchema, golden, openDatabase, ORIGINAL_TABLE } from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";

Deno.test("schemaSql is what migrate runs: applied by hand, migrate finds nothing to do", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(schemaSql());
  assertEquals(await describeSchema(db.sql), await golden());
  await db.sql.begin(async (transaction) => {
    await transaction.unsafe(`lock table ${TABLE} in share row exclusive mode`);
    await migrate(db.client, TABLE, { timeoutMs: 10_000 });
  });
});

Deno.test("schemaSql and migrate quote a table name that would break out of any quoting", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe("create table precious (id int)");
  const hostile = [
    `x"; drop table precious; --`,
    `$migration$; drop table precious; $migration$`,
    `'; drop table precious; --`,
    `back\\slash\\' %s %L %1$I`,
    "\u{1f600}",
    "n".repeat(63),
  ];
  for (const table of hostile) {
    await db.sql.unsafe(schemaSql(table));
    await migrate(db.client, table);
    await assertSchema(db.sql, table);
    await db.sql.unsafe(schemaSql(table, { down: true }));
    await migrate(db.client, table);
    await assertSchema(db.sql, table);
  }
  assertEquals(await db.values("select to_regclass('precious') is not null"), [[true]]);
});

Deno.test("schemaSql gives a role exactly what the store needs", async () => {
  await using db = await openDatabase();
  await using role = await createRole(db.database, (text) => db.sql.unsafe(text), 'odd "role" %s');
  await db.sql.unsafe("create schema ops");
  await db.sql.unsafe(schemaSql("ops.circuits", { grantTo: role.name }));
  const granted = () =>
    db.values(`select relname::text, string_agg(privilege_type, ', ' order by privilege_type)
      from pg_class, aclexplode(relacl) as privilege
      where grantee = (select oid from pg_roles where rolname = '${role.name}') group by 1 order by 1`);
  const expected = [
    ["circuits", "DELETE, INSERT, SELECT, UPDATE"],
    ["circuits_changes", "DELETE, INSERT, SELECT"],
    ["circuits_epoch", "INSERT, SELECT"],
    ["circuits_instances", "DELETE, INSERT, SELECT, UPDATE"],
    ["circuits_overview", "SELECT"],
    ["circuits_timeline", "SELECT"],
    ["circuits_versions", "USAGE"],
  ];
  assertEquals(await granted(), expected);
  await using sql = connect(role.url);
  await sql.unsafe("select * from ops.circuits_overview");
  // What was taken away comes back; the views keep what they have when they are made again.
  await db.sql.unsafe(`revoke insert on ops.circuits from ${role.quoted}`);
  await db.sql.unsafe("drop view ops.circuits_overview, ops.circuits_timeline");
  await migrate(db.client, "ops.circuits", { grantTo: role.name });
  assertEquals(await granted(), expected);
});

Deno.test("migrate names a role that does not exist", async () => {
  await using db = await openDatabase();
  const messages = [];
  for (const grantTo of ["ghost", "hunter2 secret"]) {
    messages.push(await migrate(db.client, TABLE, { grantTo }).catch((error) => error.message));
  }
  assertEquals(messages, [
    'Cannot migrate: the role "ghost" does not exist',
    "Cannot migrate: the role (a name of 14 characters) does not exist",
  ]);
});

Deno.test("schemaSql takes the schema back, and Stoma's own store works on the table again", async () => {
  const { PostgresCircuitBreakerStore } = await loadStomaAdapters();
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(`insert into ${TABLE} (key, state, failure_count, success_count, version)
    values ('k', 'open', 3, 9000000000, 5)`);
  await db.sql.unsafe(schemaSql(TABLE, { down: true }));
  assertEquals(
    await db.values(
      "select relname::text from pg_class where relnamespace = 'public'::regnamespace order by 1",
    ),
    [[TABLE], [`${TABLE}_pkey`]],
  );
  const columns =
    `select attname::text, format_type(atttypid, atttypmod), attcollation::text, attnotnull,
    pg_get_expr(adbin, adrelid) from pg_attribute
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = '${TABLE}'::regclass and attnum > 0 and not attisdropped order by attnum`;
  const found = await db.values(columns);
  assertEquals(
    await db.values(`select failure_count, success_count, state from ${TABLE}`),
    [[3, 2147483647, "open"]],
  );
  const store = new PostgresCircuitBreakerStore(db.client, TABLE);
  assertEquals((await store.recordFailure("k")).failureCount, 4);
  // Again: nothing is there to be taken away.
  await db.sql.unsafe(schemaSql(TABLE, { down: true }));
  await migrate(db.client);
  await assertSchema(db.sql);
  await db.sql.unsafe(`drop table ${TABLE} cascade`);
  await db.sql.unsafe(ORIGINAL_TABLE);
  assertEquals(found, await db.values(columns));
});

Deno.test("schemaSql takes back nothing of others", async () => {
  await using db = await openDatabase();
  await using role = await createRole(db.database, (text) => db.sql.unsafe(text));
  await db.sql.unsafe("create table circuits (key text primary key, price numeric)");
  await db.sql.unsafe("create table circuits_changes (id int)");
  await db.sql.unsafe("create view circuits_overview as select 1 as one");
  await db.sql.unsafe(`alter table circuits_changes owner to ${role.quoted}`);
  await db.sql.unsafe(schemaSql("circuits", { down: true }));
  assertEquals(
    await db.values(
      "select count(*)::int from pg_attribute where attrelid = 'circuits'::regclass and attnum > 0",
    ),
    [[2]],
  );
  for (const name of ["circuits_changes", "circuits_overview"]) {
    assertEquals(await db.values(`select to_regclass('${name}') is not null`), [[true]]);
  }
  await migrate(db.client);
  await db.sql.unsafe(`alter table ${TABLE}_changes owner to ${role.quoted}`);
  await db.sql.unsafe(schemaSql(TABLE, { down: true }));
  assertEquals(await db.values(`select to_regclass('${TABLE}_changes') is not null`), [[true]]);
});

Deno.test("schemaSql of names and options that cannot be", () => {
  assertThrows(() => schemaSql("x".repeat(64)), RangeError, "63 bytes");
  assertThrows(() => schemaSql("t", { grantTo: "" }), RangeError, '"grantTo"');
  assertThrows(() => schemaSql("t", { grantTo: 5 as unknown as string }), TypeError, '"grantTo"');
  assertThrows(() => schemaSql("t", { down: "yes" as unknown as boolean }), TypeError, '"down"');
  assertThrows(() => schemaSql("t", { down: true, grantTo: "r" }), TypeError, '"grantTo"');
  assertStringIncludes(schemaSql("t", { grantTo: "it's" }), "'it''s'");
});
