import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  isSchemaError,
  migrate,
  PostgresCircuitBreakerStore,
  SchemaError,
  schemaSql,
} from "../../mod.ts";
import { openNodePostgres, openPglite, openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { describeTable } from "../support/describe_table.ts";

/** The table that Stoma's own Postgres store uses, as its schema makes it. */
const ORIGINAL_TABLE = `create table stoma_circuit_breakers (
  key text primary key,
  state text not null default 'closed',
  failure_count integer not null default 0,
  success_count integer not null default 0,
  last_failure_time bigint not null default 0,
  last_state_change bigint not null default 0
)`;

const golden = new URL("../golden/schema.txt", import.meta.url);

async function openDatabase() {
  const database = await createDatabase();
  const sql = connect(database.url, { max: 4 });
  const driver = await openPostgresJs(database.url, { max: 4 });
  return {
    sql,
    client: driver.client,
    url: database.url,
    async [Symbol.asyncDispose]() {
      await sql.end();
      await driver[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("migrate makes the schema of the golden dump", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const dump = await describeTable(db.sql, "stoma_circuit_breakers");
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, dump);
  assertEquals(dump, await Deno.readTextFile(golden));
});

Deno.test("migrate upgrades the original table to the same schema and keeps its rows", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql`insert into stoma_circuit_breakers values
    ('down', 'open', 5, 2147483647, 1700000000000, 1700000000001), ('up', 'closed', 0, 9, 0, 3)`;
  await migrate(db.client);
  assertEquals(
    await describeTable(db.sql, "stoma_circuit_breakers"),
    await Deno.readTextFile(golden),
  );
  const store = new PostgresCircuitBreakerStore(db.client, undefined, { now: Date.now });
  assertEquals(await store.peek(["down", "up"]), [
    {
      state: "open",
      failureCount: 5,
      successCount: 2147483647,
      lastFailureTime: 1700000000000,
      lastStateChange: 1700000000001,
    },
    {
      state: "closed",
      failureCount: 0,
      successCount: 9,
      lastFailureTime: 0,
      lastStateChange: 3,
    },
  ]);
  assertEquals((await store.recordSuccess("down")).successCount, 2147483648);
});

Deno.test("migrate upgrades the original table under 20 instances that start at once", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql`insert into stoma_circuit_breakers (key, failure_count) values ('k', 7)`;
  await atOnce(db.url, 20);
  const rows = await db.sql`select key, failure_count::int from stoma_circuit_breakers`.values();
  assertEquals(Array.from<unknown>(rows), [["k", 7]]);
});

for (const isolation of ["read committed", "repeatable read", "serializable"]) {
  Deno.test(`migrate by 20 connections at once makes one table under ${isolation}`, async () => {
    await using db = await openDatabase();
    const [{ name }] = await db.sql`select current_database() as name` as unknown as [
      { name: string },
    ];
    await db.sql.unsafe(
      `alter database "${name}" set default_transaction_isolation = '${isolation}'`,
    );
    await atOnce(db.url, 20);
    assertEquals(
      await describeTable(db.sql, "stoma_circuit_breakers"),
      await Deno.readTextFile(golden),
    );
  });
}

async function atOnce(url: string, count: number): Promise<void> {
  const drivers = await Promise.all(
    Array.from({ length: count }, async () => {
      const driver = await openPostgresJs(url, { max: 1 });
      await driver.client.query("select 1"); // connected: what follows really starts together
      return driver;
    }),
  );
  try {
    await Promise.all(drivers.map((driver) => migrate(driver.client)));
  } finally {
    for (const driver of drivers) await driver[Symbol.asyncDispose]();
  }
}

Deno.test("migrate again changes nothing and takes no lock on the table", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const identity = () =>
    db.sql`select oid::int, relfilenode::int, xmin::text from pg_class
      where oid = 'stoma_circuit_breakers'::regclass`.values();
  const before = await identity();
  await db.sql.begin(async (transaction) => {
    // A writer with an open transaction: an ALTER TABLE would wait for it for ever.
    await transaction`insert into stoma_circuit_breakers (key) values ('busy')`;
    await migrate(db.client);
  });
  assertEquals([...await identity()], [...before]);
});

Deno.test("migrate refuses a schema newer than it knows and leaves it alone", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql`comment on table stoma_circuit_breakers is '@circuit-breaker/postgres schema 99'`;
  const before = await describeTable(db.sql, "stoma_circuit_breakers");
  const error = await assertRejects(() => migrate(db.client), SchemaError);
  assertStringIncludes(error.message, "99");
  assertStringIncludes(error.message, "upgrade this package");
  assertEquals(await describeTable(db.sql, "stoma_circuit_breakers"), before);
});

Deno.test("migrate refuses a foreign table and leaves it alone", async () => {
  await using db = await openDatabase();
  await db.sql`create table orders (key text primary key, price numeric)`;
  const before = await describeTable(db.sql, "orders");
  await assertRejects(
    () => migrate(db.client, "orders"),
    SchemaError,
    "is not a circuit breaker table",
  );
  assertEquals(await describeTable(db.sql, "orders"), before);
});

Deno.test("migrate keeps a comment that a user wrote on the original table", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  await db.sql`comment on table stoma_circuit_breakers is 'owned by the edge team'`;
  await migrate(db.client);
  await migrate(db.client);
  const [{ remark }] = await db.sql`
    select obj_description('stoma_circuit_breakers'::regclass, 'pg_class') as remark` as unknown as [
    { remark: string },
  ];
  assertEquals(remark, "owned by the edge team\n@circuit-breaker/postgres schema 2");
});

Deno.test("migrate is atomic: a migration that fails half-way leaves the original", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(ORIGINAL_TABLE);
  // The view makes ALTER TYPE fail after the storage options were set.
  await db.sql`create view dashboard as select failure_count from stoma_circuit_breakers`;
  const before = await describeTable(db.sql, "stoma_circuit_breakers");
  const error = await migrate(db.client).then(() => undefined, (reason) => reason);
  assertEquals(error.sqlState, "0A000");
  assertEquals(await describeTable(db.sql, "stoma_circuit_breakers"), before);
});

Deno.test("migrate names a schema that does not exist", async () => {
  await using db = await openDatabase();
  const error = await assertRejects(() => migrate(db.client, "nowhere.circuits"), SchemaError);
  assertEquals(
    error.message,
    'Cannot migrate: the schema of "nowhere"."circuits" does not exist, create it first',
  );
});

Deno.test("migrate without the right to create reports the server's reason", async () => {
  await using db = await openDatabase();
  const role = `reader_${crypto.randomUUID().replaceAll("-", "")}`;
  await db.sql.unsafe(`create role ${role}`);
  await using limited = await openPostgresJs(db.url, { max: 1 });
  try {
    await limited.client.query(`set role ${role}`);
    const error = await migrate(limited.client).then(() => undefined, (reason) => reason);
    assertEquals(error.sqlState, "42501");
    assertEquals(isSchemaError(error), false);
  } finally {
    await limited.client.query("reset role");
    await db.sql.unsafe(`drop role ${role}`);
  }
});

Deno.test("migrate works through every driver", async () => {
  for (const prepare of [true, false]) {
    await using db = await openDatabase();
    await using js = await openPostgresJs(db.url, { prepare });
    await migrate(js.client, "through.postgres_js".replace("through.", ""));
    await using pg = await openNodePostgres(db.url, { prepare });
    await migrate(pg.client, "node_postgres");
    await migrate(pg.raw, "bare_pool");
    for (const table of ["postgres_js", "node_postgres", "bare_pool"]) {
      await new PostgresCircuitBreakerStore(db.client, table).recordSuccess("k");
    }
  }
  await using lite = await openPglite();
  await migrate(lite.client, "pglite");
  await migrate(lite.raw, "bare_pglite");
  for (const table of ["pglite", "bare_pglite"]) {
    await new PostgresCircuitBreakerStore(lite.client, table).recordSuccess("k");
  }
});

Deno.test("schemaSql is what migrate runs: applied by hand, migrate finds nothing to do", async () => {
  await using db = await openDatabase();
  await db.sql.unsafe(schemaSql());
  const dump = await describeTable(db.sql, "stoma_circuit_breakers");
  assertEquals(dump, await Deno.readTextFile(golden));
  await migrate(db.client);
  assertEquals(await describeTable(db.sql, "stoma_circuit_breakers"), dump);
});

Deno.test("schemaSql and migrate quote a table name that would break out of any quoting", async () => {
  await using db = await openDatabase();
  await db.sql`create table precious (id int)`;
  const hostile = [
    `x"; drop table precious; --`,
    `$migration$; drop table precious; $migration$`,
    `'; drop table precious; --`,
    `back\\slash\\' %s %L`,
    "\u{1f600}",
  ];
  for (const table of hostile) {
    await migrate(db.client, table);
    await db.sql.unsafe(schemaSql(table));
    const store = new PostgresCircuitBreakerStore(db.client, table);
    assertEquals((await store.recordFailure("k")).failureCount, 1, table);
    await store.reset("k");
  }
  assertEquals((await db.sql`select to_regclass('precious') is not null as here`)[0]!.here, true);
});

Deno.test("schemaSql of a name PostgreSQL cannot hold is a RangeError", () => {
  assertThrows(() => schemaSql("x".repeat(64)), RangeError, "63 bytes");
});
