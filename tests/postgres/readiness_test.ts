import { assertEquals, assertMatch } from "@std/assert";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { connect } from "../support/database.ts";
import { check, inOps, MISSING, openStage, PRIVILEGES } from "./readiness_stage.ts";

const READ_ONLY =
  "StoreUnavailableError 25006: Cannot check: the client takes no writes, because " +
  "default_transaction_read_only is on for ";

Deno.test("checkReadiness passes with exactly the grants that its messages name, on every driver", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  const messages: string[] = [];
  for (let message = await stage.check(); message !== "ready"; message = await stage.check()) {
    const grants = message.split("run: ")[1]!.split("; ");
    await stage.run(grants[0]!);
    messages.push(message);
  }
  const grants = PRIVILEGES.map(([object, privileges]) =>
    `grant ${privileges.join(", ")} on ${inOps(object)} to ${stage.quoted}`
  );
  const all = [`grant usage on schema "ops" to ${stage.quoted}`, ...grants];
  assertEquals(messages, all.map((_, i) => MISSING + all.slice(i).join("; ")));

  await using nodePostgres = await openNodePostgres(stage.url);
  await using unprepared = await openPostgresJs(stage.url, { prepare: false });
  for (const { client } of [nodePostgres, unprepared]) {
    assertEquals(await check(client, "ops.circuits"), "ready");
    assertEquals(await check(client, "ops.none"), await stage.check("ops.none"));
  }
});

Deno.test("checkReadiness names the privileges that are missing, and only those", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  for (const [object, privileges] of PRIVILEGES) {
    for (const privilege of privileges) {
      await stage.run(`revoke ${privilege} on ${inOps(object)} from ${stage.quoted}`);
      const grant = `grant ${privilege} on ${inOps(object)} to ${stage.quoted}`;
      assertEquals(await stage.check(), MISSING + grant);
      await stage.run(grant);
    }
  }
  await stage.run(`revoke insert, delete on ops.circuits from ${stage.quoted}`);
  assertEquals(
    await stage.check(),
    `${MISSING}grant insert, delete on "ops"."circuits" to ${stage.quoted}`,
  );
  await stage.run(`grant insert, delete on ops.circuits to ${stage.quoted}`);
  await stage.run(`revoke usage on schema ops from ${stage.quoted}`);
  assertEquals(await stage.check(), `${MISSING}grant usage on schema "ops" to ${stage.quoted}`);
});

Deno.test("checkReadiness counts privileges that a role has through others", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.run("grant usage on schema ops to public");
  await stage.run("grant select on all tables in schema ops to public");
  await stage.run("grant usage on all sequences in schema ops to public");
  await stage.run(`grant pg_write_all_data to ${stage.quoted}`);
  assertEquals(await stage.check(), "ready");
  await stage.run(`revoke pg_write_all_data from ${stage.quoted}`);
});

Deno.test("checkReadiness says that the table or its schema is missing", async () => {
  await using stage = await openStage();
  const missing = (table: string) =>
    `SchemaError: Cannot check: the table ${table} does not exist, run migrate(client, table) first`;
  assertEquals(await stage.check("ops.circuits"), missing('"ops"."circuits"'));
  assertEquals(await stage.check("circuits"), missing('"circuits"'));
  assertEquals(
    await stage.check("nowhere.circuits"),
    'SchemaError: Cannot check: the schema of "nowhere"."circuits" does not exist, ' +
      "create it and run migrate(client, table)",
  );
});

Deno.test("checkReadiness refuses what is no ordinary table", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  const kinds: [kind: string, create: string][] = [
    ["a view", "create view ops.x as select * from ops.circuits"],
    ["a materialized view", "create materialized view ops.x as select * from ops.circuits"],
    [
      "a partitioned table",
      "create table ops.x (like ops.circuits including all) partition by hash (key)",
    ],
    ["a sequence", "create sequence ops.x"],
    ["an index", "create index x on ops.circuits (version)"],
    [
      "a partitioned index",
      "create table ops.p (key text) partition by hash (key); create index x on ops.p (key)",
    ],
    ["a composite type", "create type ops.x as (key text)"],
    [
      "a foreign table",
      "create foreign data wrapper nothing; create server nothing foreign data wrapper nothing; " +
      "create foreign table ops.x (key text) server nothing",
    ],
  ];
  for (const [kind, create] of kinds) {
    for (const statement of create.split("; ")) await stage.run(statement);
    assertEquals(
      await stage.check("ops.x"),
      `SchemaError: Cannot check: "ops"."x" is ${kind} and not a circuit breaker table, ` +
        "use another name",
    );
    const object = kind.replace(/^an? (partitioned )?/, "").replace("composite ", "");
    await stage.run(`drop ${object} ops.x cascade`);
  }
});

Deno.test("checkReadiness distinguishes foreign, outdated and newer tables by their columns", async () => {
  await using stage = await openStage();
  await stage.run("create table ops.foreign_table (key text primary key, state text)");
  assertEquals(
    await stage.check("ops.foreign_table"),
    'SchemaError: Cannot check: the table "ops"."foreign_table" exists and is not a circuit ' +
      "breaker table, use another name",
  );

  const outdated = (columns: string) =>
    'SchemaError: Cannot check: the table "ops"."circuits" is outdated (it lacks ' +
    `${columns}), run migrate(client, table)`;
  await stage.run(`create table ops.circuits (
    key text primary key, state text not null, failure_count integer not null,
    success_count integer not null, last_failure_time bigint not null,
    last_state_change bigint not null
  )`);
  assertMatch(
    await stage.check(),
    /\(it lacks failure_count as bigint, success_count as bigint, version, .*forced_until.*, changes, instances, epoch, versions, overview, timeline\), run/,
  );
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  assertEquals(await stage.check(), "ready");

  await stage.run("alter table ops.circuits drop column forced_until cascade");
  await stage.run("alter table ops.circuits alter column probe_count type bigint");
  assertEquals(
    await stage.check(),
    outdated("probe_count as integer, forced_until, overview"),
  );
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();

  // No comment on the table means anything.
  await stage.run("comment on table ops.circuits is 'shop: @circuit-breaker/postgres schema 99'");
  assertEquals(await stage.check(), "ready");
  await stage.run("update ops.circuits_instances set library = 'schema 99' where id = 'token'");
  assertEquals(
    await stage.check(),
    'SchemaError: Cannot check: the table "ops"."circuits" is of a newer release (schema 99), ' +
      "this one knows schema 3: upgrade this package",
  );
});

Deno.test("checkReadiness says where a server that takes no writes was made so", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  const off = ", turn it off there";
  const { quoted, database } = stage;
  const places: [place: string, alter: string][] = [
    ["the role", `role ${quoted}`],
    ["the database", `database ${database}`],
    ["the role in this database", `role ${quoted} in database ${database}`],
  ];
  for (const [place, altered] of places) {
    await stage.run(`alter ${altered} set default_transaction_read_only = on`);
    await using driver = await openPostgresJs(stage.url, { max: 1 });
    await driver.raw`select`;
    await stage.run(`alter ${altered} reset default_transaction_read_only`);
    assertEquals(await check(driver.client, "ops.circuits"), READ_ONLY + place + off);
  }

  const options = { connection: { default_transaction_read_only: true } };
  await using readOnly = connect(stage.url, options);
  assertEquals(
    await check(fromPostgresJs(readOnly), "ops.circuits"),
    `${READ_ONLY}the options of the connection${off}`,
  );

  await stage.client.query("set default_transaction_read_only = on");
  assertEquals(await stage.check(), `${READ_ONLY}the session${off}`);
  await stage.client.query("set default_transaction_read_only = off");
  assertEquals(await stage.check(), "ready");

  await stage.client.query("begin read only");
  assertEquals(
    await stage.check(),
    "StoreUnavailableError 25006: Cannot check: the client is in a read-only transaction, " +
      "pass one that is in none",
  );
  await stage.client.query("rollback");
});

Deno.test("checkReadiness reports a server that cannot be reached", async () => {
  await using unreachable = await openPostgresJs("postgres://127.0.0.1:1/nothing");
  assertMatch(await check(unreachable.client), /^StoreUnavailableError: Cannot check: ./);
});
