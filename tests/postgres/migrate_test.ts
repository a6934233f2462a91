import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { isSchemaError, SchemaError } from "../../src/errors.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { openNodePostgres, openPglite, openPostgresJs } from "../support/clients.ts";
import { describeSchema } from "../support/describe_table.ts";
import { createRole } from "../support/role.ts";
import {
  assertSchema,
  golden,
  migrateAtOnce,
  openDatabase,
  ORIGINAL_TABLE,
  updateGolden,
} from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";

Deno.test("migrate makes the schema of the golden dump", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const dump = await describeSchema(db.sql);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await updateGolden(dump);
  assertEquals(dump, await golden());
});

Deno.test("migrate leaves no trigger and no function in the database", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  assertEquals(
    await db.values(`select tgname::text from pg_trigger where not tgisinternal
      union all select proname::text from pg_proc where pronamespace = 'public'::regnamespace`),
    [],
  );
});

Deno.test("migrate makes the rows that background work needs", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  assertEquals(await db.values(`select id, library from ${TABLE}_instances`), [
    ["token", "schema 3"],
  ]);
  const epoch = await db.values(`select one::text, length(id)::int from ${TABLE}_epoch`);
  assertEquals(epoch, [["true", 36]]);
});

for (const isolation of ["read committed", "repeatable read", "serializable"]) {
  Deno.test(`migrate by 20 connections at once makes one schema under ${isolation}`, async () => {
    await using db = await openDatabase();
    await db.sql.unsafe(
      `alter database "${db.database.name}" set default_transaction_isolation = '${isolation}'`,
    );
    await migrateAtOnce(db.url, Array(20).fill(TABLE));
    assertEquals(await describeSchema(db.sql), await golden());
  });

  Deno.test(`migrate by 20 connections at once repairs once under ${isolation}`, async () => {
    await using db = await openDatabase();
    await migrate(db.client);
    await db.sql.unsafe(
      `alter database "${db.database.name}" set default_transaction_isolation = '${isolation}'`,
    );
    await db.sql.unsafe(`drop view ${TABLE}_overview; alter table ${TABLE} drop column opened_at;
      drop index ${TABLE}_changes_xid_idx; drop table ${TABLE}_epoch`);
    await migrateAtOnce(db.url, Array(20).fill(TABLE));
    await assertSchema(db.sql);
  });
}

Deno.test("migrate of two tables at once makes both", async () => {
  await using db = await openDatabase();
  await migrateAtOnce(db.url, Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? TABLE : "Other"));
  await assertSchema(db.sql);
  await assertSchema(db.sql, "Other");
});

Deno.test("migrate again changes nothing, writes nothing and waits for no lock", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const identity = () =>
    db.values(`select oid::text, relfilenode::text, xmin::text from pg_class
      where relname like '${TABLE}%' order by oid`);
  const before = await identity();
  await db.sql.begin(async (transaction) => {
    // The strongest locks of others: any lock of the migration would wait for ever.
    for (const name of ["", "_changes", "_instances", "_epoch"]) {
      await transaction.unsafe(`lock table ${TABLE}${name} in share row exclusive mode`);
    }
    await transaction.unsafe(`set transaction read write`);
    await migrate(db.client, TABLE, { timeoutMs: 10_000 });
  });
  await db.sql.unsafe(`insert into ${TABLE} (key) values ('of the original store')`);
  await db.sql.begin("read only", async (transaction) => {
    await migrate({ query: async (text) => ({ rows: await transaction.unsafe(text) }) });
  });
  assertEquals(await identity(), before);
});

Deno.test("migrate leaves the search path and the lock timeout of a transaction as they were", async () => {
  await using db = await openDatabase();
  await db.sql.begin(async (transaction) => {
    await transaction.unsafe("set local search_path = public, pg_temp");
    await transaction.unsafe("set local lock_timeout = '7s'");
    await migrate({ query: async (text) => ({ rows: await transaction.unsafe(text) }) });
    const [row] = await transaction`select current_setting('search_path') as path,
      current_setting('lock_timeout') as timeout`;
    assertEquals({ ...row }, { path: "public, pg_temp", timeout: "7s" });
  });
});

Deno.test("migrate refuses a schema newer than it knows and leaves it alone", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(`update ${TABLE}_instances set library = 'schema 99' where id = 'token'`);
  await db.sql.unsafe(`alter table ${TABLE} drop column opened_at cascade`);
  const before = await describeSchemaBut(db, "overview");
  const error = await assertRejects(() => migrate(db.client), SchemaError);
  assertEquals(
    error.message,
    `Cannot migrate: the table "${TABLE}" is of a newer release (schema 99), ` +
      "this one knows schema 3: upgrade this package",
  );
  assertEquals(await describeSchemaBut(db, "overview"), before);
});

async function describeSchemaBut(db: { values(text: string): Promise<unknown[][]> }, view: string) {
  return await db.values(`select attrelid::regclass::text, attname::text from pg_attribute
    where attrelid::regclass::text like '${TABLE}%' and attrelid::regclass::text not like '%${view}'
      and not attisdropped order by 1, 2`);
}

Deno.test("migrate refuses a foreign table and leaves it alone", async () => {
  await using db = await openDatabase();
  const foreign = [
    "(key text primary key, price numeric)",
    "(key text primary key, state text, version bigint, updated_at bigint)",
    "(id int, state text, failure_count int, success_count int, version int, updated_at int, b int)",
  ];
  for (const columns of foreign) {
    await db.sql.unsafe(`create table orders ${columns}`);
    const error = await assertRejects(() => migrate(db.client, "orders"), SchemaError);
    assertEquals(
      error.message,
      'Cannot migrate: the table "orders" exists and is not a circuit breaker table, use another name',
    );
    assertEquals(
      await db.values("select tablename::text from pg_tables where schemaname = 'public'"),
      [
        ["orders"],
      ],
    );
    await db.sql.unsafe("drop table orders");
  }
});

Deno.test("migrate works with any comment on the table and keeps what a DBA wrote", async () => {
  for (const comment of [null, "owned by the edge team", "@circuit-breaker/postgres schema 99"]) {
    await using db = await openDatabase();
    await db.sql.unsafe(ORIGINAL_TABLE);
    const literal = comment === null ? "null" : `'${comment}'`;
    await db.sql.unsafe(`comment on table ${TABLE} is ${literal}`);
    await migrate(db.client);
    await db.sql.unsafe(`comment on table ${TABLE} is ${literal}`);
    await migrate(db.client);
    const kept = comment?.startsWith("@") ? null : comment;
    assertEquals(await db.values(`select obj_description('${TABLE}'::regclass, 'pg_class')`), [
      [kept],
    ]);
  }
});

Deno.test("migrate names a schema that does not exist", async () => {
  await using db = await openDatabase();
  const error = await assertRejects(() => migrate(db.client, "nowhere.circuits"), SchemaError);
  assertEquals(
    error.message,
    'Cannot migrate: the schema of "nowhere"."circuits" does not exist, create it first',
  );
});

Deno.test("migrate without the right to create says who may", async () => {
  await using db = await openDatabase();
  await using role = await createRole(db.database, (text) => db.sql.unsafe(text));
  await db.sql.unsafe("revoke create on schema public from public");
  await using limited = await openPostgresJs(role.url, { max: 1 });
  const error = await migrate(limited.client).then(() => undefined, (reason) => reason);
  assertEquals(error.sqlState, "42501");
  assertEquals(isSchemaError(error), false);
  assertEquals(
    error.message,
    "Cannot migrate: permission denied for schema public: run it as the owner of the table " +
      `"${TABLE}", or as a role that may create in its schema`,
  );
});

Deno.test("migrate needs no right where everything is in place", async () => {
  await using db = await openDatabase();
  await using role = await createRole(db.database, (text) => db.sql.unsafe(text));
  await db.sql.unsafe("create schema ops");
  await migrate(db.client, "ops.circuits", { grantTo: role.name });
  await using limited = await openPostgresJs(role.url, { max: 1 });
  await migrate(limited.client, "ops.circuits");
  await db.sql.unsafe("drop view ops.circuits_timeline");
  const error = await migrate(limited.client, "ops.circuits").then(() => undefined, (it) => it);
  assertEquals(error.sqlState, "42501");
});

Deno.test("migrate works through every driver", async () => {
  await using db = await openDatabase();
  for (const prepare of [true, false]) {
    await using js = await openPostgresJs(db.url, { prepare });
    await using pg = await openNodePostgres(db.url, { prepare });
    for (const [name, client] of Object.entries({ js: js.client, pg: pg.client, bare: pg.raw })) {
      const table = `${name}_${prepare}`;
      await migrate(client, table);
      await migrate(client, table);
      await assertSchema(db.sql, table);
    }
  }
  await using lite = await openPglite();
  for (const [table, client] of Object.entries({ lite: lite.client, bare: lite.raw })) {
    await migrate(client, table);
    await migrate(client, table);
    const { rows } = await client.query(`select count(*)::int as count from ${table}_overview`);
    assertEquals(rows, [{ count: 0 }]);
  }
});

Deno.test("migrate takes what its options say and refuses others", async () => {
  const client = { query: () => Promise.resolve({ rows: [] }) };
  // deno-lint-ignore no-explicit-any
  const refused: [any, new () => Error, string][] = [
    [{ timeoutMs: 0 }, RangeError, '"timeoutMs" must be a positive number'],
    [{ timeoutMs: "1" }, TypeError, '"timeoutMs" must be a number'],
    [{ lockTimeoutMs: 0 }, RangeError, '"lockTimeoutMs" must be a whole number from 4'],
    [{ lockTimeoutMS: 5 }, TypeError, '"lockTimeoutMs" must be spelt exactly so'],
    [{ grantTo: 5 }, TypeError, '"grantTo" must be a string'],
    [{ grantTo: "" }, RangeError, '"grantTo" must be the name of a role'],
    [{ grantTo: "x".repeat(64) }, RangeError, '"grantTo" must be the name of a role'],
    ["secret", TypeError, '"options" must be a plain object'],
  ];
  for (const [options, type, message] of refused) {
    const error = await assertRejects(() => migrate(client, "t", options), type);
    assertStringIncludes(error.message, message);
  }
});
