import { assertEquals } from "@std/assert";
import { migrate } from "../../src/postgres/migrate.ts";
import { createRole } from "../support/role.ts";
import { inOps, openStage } from "./readiness_stage.ts";

/** What is wrong, as SQL, and what a check says. */
type Case = readonly [damage: string, message: string];

const TABLE = '"ops"."circuits"';
const outdated = (lacks: string) =>
  `SchemaError: Cannot check: the table ${TABLE} is outdated (it lacks ${lacks}), ` +
  "run migrate(client, table)";
const settings =
  'SchemaError: Cannot check: the sequence "ops"."circuits_versions" has other settings ' +
  "than migrate gives it, run migrate(client, table)";
const behind =
  `SchemaError: Cannot check: the sequence of versions is behind the table ${TABLE}, ` +
  "as after a restore, run migrate(client, table)";

const REPAIRED: readonly Case[] = [
  ["drop table ops.circuits_changes cascade", outdated("changes, overview, timeline")],
  ["drop table ops.circuits_instances", outdated("instances")],
  ["drop table ops.circuits_epoch", outdated("epoch")],
  ["drop sequence ops.circuits_versions", outdated("versions")],
  ["drop view ops.circuits_timeline", outdated("timeline")],
  ["alter table ops.circuits_changes drop column xid", outdated("changes.xid")],
  ["alter table ops.circuits_instances drop column flush", outdated("instances.flush")],
  ["alter table ops.circuits drop constraint circuits_pkey", outdated("the key key")],
  [
    "alter table ops.circuits_instances drop constraint circuits_instances_pkey",
    outdated("the key instances.id"),
  ],
  ["alter table ops.circuits_changes alter xid type text", outdated("changes.xid as xid8")],
  ["alter sequence ops.circuits_versions increment 2", settings],
  ["alter sequence ops.circuits_versions cache 5", settings],
  ["alter sequence ops.circuits_versions cycle", settings],
  ["insert into ops.circuits (key, version) values ('k', 9)", behind],
  ["insert into ops.circuits (key, zeroed_version) values ('z', 10)", behind],
  [
    "insert into ops.circuits_changes (version, key, at, from_state, to_state, cause) " +
    "values (11, 'k', 1, 'closed', 'open', 'trip')",
    behind,
  ],
];

Deno.test("checkReadiness names what a migration repairs", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  for (const [damage, message] of REPAIRED) {
    assertEquals(await stage.check(), "ready");
    await stage.run(damage);
    assertEquals(await stage.check(), message, damage);
    await stage.grantAll();
  }
  assertEquals(await stage.check(), "ready");
});

Deno.test("checkReadiness names what others put on the tables", async () => {
  await using stage = await openStage();
  await using other = await createRole(
    { name: stage.database, url: stage.url },
    stage.run,
    "other",
  );
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  await stage.run(`create function ops.own() returns trigger language plpgsql
    as 'begin return null; end'`);
  await stage.run(`create function ops.foreign_code() returns trigger language plpgsql
    as 'begin return null; end'`);
  await stage.run(`alter function ops.foreign_code() owner to ${other.quoted}`);
  const cases: [object: string, kind: "trigger" | "rule", definition: string][] = [
    ["circuits", "trigger", "before update on % for each row execute function ops.own()"],
    ["circuits", "trigger", "after update on % for each row execute function ops.foreign_code()"],
    ["circuits_changes", "trigger", "before insert on % for each row execute function ops.own()"],
    ["circuits_instances", "trigger", "after delete on % execute function ops.foreign_code()"],
    ["circuits_epoch", "trigger", "before insert on % execute function ops.own()"],
    [
      "circuits_overview",
      "trigger",
      "instead of insert on % for each row execute function ops.own()",
    ],
    ["circuits", "rule", "as on update to % do instead nothing"],
    ["circuits_changes", "rule", "as on insert to % do also select 1"],
  ];
  for (const [object, kind, definition] of cases) {
    await stage.run(`create ${kind} mine ${definition.replace("%", inOps(object))}`);
    assertEquals(
      await stage.check(),
      `SchemaError: Cannot check: the ${kind} "mine" can change what the store does with ` +
        `${inOps(object)}, run drop ${kind} "mine" on ${inOps(object)}`,
    );
    await stage.run(`drop ${kind} mine on ${inOps(object)}`);
  }
  // What the owner looks on with is the owner's business.
  await stage.run(`create trigger audit after update on ops.circuits for each row
    execute function ops.own()`);
  assertEquals(await stage.check(), "ready");
  await stage.run(`create trigger "hunter2 secret" before update on ops.circuits for each row
    execute function ops.own()`);
  assertEquals((await stage.check()).includes("hunter2"), false);
});

Deno.test("checkReadiness names what others own and what has another kind", async () => {
  await using stage = await openStage();
  await using other = await createRole(
    { name: stage.database, url: stage.url },
    stage.run,
    "other",
  );
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  const [{ owner }] = (await stage.admin.query("select current_user::text as owner")).rows as [
    { owner: string },
  ];
  for (const part of ["changes", "instances", "epoch", "overview"]) {
    await stage.run(`alter table ops.circuits_${part} owner to ${other.quoted}`);
    assertEquals(
      await stage.check(),
      `SchemaError: Cannot check: "ops"."circuits_${part}" belongs to ${other.quoted} and not to ` +
        `"${owner}", as ${TABLE} does, drop or rename it and run migrate(client, table)`,
    );
    await stage.run(`alter table ops.circuits_${part} owner to "${owner}"`);
  }
  await stage.run("drop table ops.circuits_epoch");
  await stage.run("create view ops.circuits_epoch as select 1 as one");
  assertEquals(
    await stage.check(),
    'SchemaError: Cannot check: "ops"."circuits_epoch" is a view and not a table, drop or rename it ' +
      "and run migrate(client, table)",
  );
});

Deno.test("checkReadiness finds row level security that hides the log", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  const log = '"ops"."circuits_changes"';
  await stage.run(`alter table ${log} enable row level security`);
  const create = `create policy "circuit_breaker" on ${log} to ${stage.quoted} using (true) ` +
    "with check (true)";
  assertEquals(
    await stage.check(),
    `CircuitBreakerStoreError 42501: Cannot check: row level security can hide rows of ${log} from ` +
      `${stage.quoted}, run ${create}, or alter table ${log} disable row level security, or alter ` +
      `role ${stage.quoted} bypassrls`,
  );
  await stage.run(create);
  assertEquals(await stage.check(), "ready");
});

Deno.test("checkReadiness finds a part that the search path hides", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  await stage.client.query("set search_path = ops");
  assertEquals(await stage.check("circuits"), "ready");
  await stage.run("create schema earlier");
  await stage.run("create table earlier.circuits_changes (id int)");
  await stage.run(`grant usage on schema earlier to ${stage.quoted}`);
  await stage.client.query("set search_path = earlier, ops");
  assertEquals(
    await stage.check("circuits"),
    'SchemaError: Cannot check: the search path of the role hides "ops"."circuits_changes", name the ' +
      "table with its schema",
  );
});
