import { assert, assertEquals, assertRejects } from "@std/assert";
import { SchemaError } from "../../src/errors.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { checkReadiness } from "../../src/postgres/readiness.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";
import { connect } from "../support/database.ts";
import { createRole } from "../support/role.ts";
import { assertSchema, openDatabase, type Stage } from "./migrate_stage.ts";

/** A database in which an owner and an attacker may create in `public`, and a gateway may not. */
async function openStage() {
  await using cleanup = new AsyncDisposableStack();
  const db: Stage = cleanup.use(await openDatabase());
  const run = (text: string) => db.sql.unsafe(text);
  const open = async (suffix: string) => {
    const role = cleanup.use(await createRole(db.database, run, suffix));
    const sql = cleanup.use(connect(role.url));
    return { ...role, sql, client: fromPostgresJs(sql) };
  };
  const [owner, attacker, gateway] = [
    await open("owner"),
    await open("attacker"),
    await open("gateway"),
  ];
  await run(`grant create, usage on schema public to ${owner.quoted}, ${attacker.quoted}`);
  const kept = cleanup.move();
  return { db, owner, attacker, gateway, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function refusal(client: PostgresClient, table = "circuits"): Promise<string> {
  return (await assertRejects(() => migrate(client, table), SchemaError)).message;
}

Deno.test("migrate refuses every object of its names that another role owns", async () => {
  await using stage = await openStage();
  const { owner, attacker, db } = stage;
  const cases: [part: string, create: string, drop: string, kind?: string][] = [
    ["changes", "table circuits_changes (version bigint, xid xid8, key text)", "table"],
    ["changes", "view circuits_changes as select 1 as version", "view", "a view and not a table"],
    ["instances", "table circuits_instances (id text primary key, library text)", "table"],
    ["instances", "sequence circuits_instances", "sequence", "a sequence and not a table"],
    ["epoch", "unlogged table circuits_epoch (one boolean, id text)", "table"],
    ["versions", "sequence circuits_versions", "sequence"],
    ["versions", "table circuits_versions ()", "table", "a table and not a sequence"],
    ["overview", "view circuits_overview as select 1 as key", "view"],
    [
      "timeline",
      "materialized view circuits_timeline as select 1 as key",
      "materialized view",
      "a materialized view and not a view",
    ],
    ["changes", "type circuits_changes as (a int)", "type", "a composite type and not a table"],
  ];
  for (const isMigrated of [false, true]) {
    if (isMigrated) await migrate(owner.client, "circuits");
    for (const [part, create, drop, kind] of cases) {
      if (isMigrated) {
        const own = { versions: "sequence", overview: "view", timeline: "view" }[part] ?? "table";
        await db.sql.unsafe(`drop ${own} if exists circuits_${part} cascade`);
      }
      await attacker.sql.unsafe(`create ${create}`);
      const message = await refusal(owner.client);
      const name = `Cannot migrate: "circuits_${part}"`;
      assertEquals(
        message,
        kind !== undefined
          ? `${name} is ${kind}, drop or rename it, or use another name`
          : `${name} belongs to "${attacker.name}" and not to "${owner.name}", as the table "circuits" ` +
            "does, drop or rename it, or use another name",
      );
      assertEquals(
        await db.values("select to_regclass('circuits') is not null"),
        [[isMigrated]],
      );
      await attacker.sql.unsafe(`drop ${drop} circuits_${part}`);
    }
  }
  await attacker.sql.unsafe("create domain circuits_changes as text");
  await db.sql.unsafe("drop table if exists circuits_changes cascade");
  assertEquals(
    await refusal(owner.client),
    'Cannot migrate: the type "circuits_changes" has a name that a table needs, drop or rename it, ' +
      "or use another name",
  );
  await attacker.sql.unsafe("drop domain circuits_changes");
  await migrate(owner.client, "circuits");
  await assertSchema(db.sql, "circuits");
});

/** What an attacker can hang on a table so that others run it; `evil()` is a function of the attacker's. */
const TRAPS: [shown: string, sql: string][] = [
  [
    'the trigger "trap"',
    `create trigger trap before insert on circuits
    for each row execute function evil_trigger()`,
  ],
  [
    'the trigger "trap"',
    `create trigger trap after update on circuits_changes
    for each statement execute function evil_trigger()`,
  ],
  ['the rule "trap"', "create rule trap as on update to circuits do also select evil()"],
  ['the rule "trap"', "create rule trap as on insert to circuits_instances do also select evil()"],
  ['the policy "trap"', "create policy trap on circuits using (evil() = 'x')"],
  [
    'the constraint "trap"',
    "alter table circuits add constraint trap check (evil() is not null) not valid",
  ],
  ['the default of "forced_reason"', "alter table circuits alter forced_reason set default evil()"],
  [
    'the default of "forced_reason"',
    "alter table circuits alter forced_reason set default " +
    "query_to_xml('select 1', true, true, '')::text",
  ],
  [
    'the default of "trap"',
    "alter table circuits add trap text generated always as (fixed(key)) stored",
  ],
  ['the index "trap"', "create index trap on circuits (fixed(key))"],
  ['the index "trap"', "create index trap on circuits (key) where fixed(key) = 'x'"],
  [
    'the index "trap"',
    "create function differs(text, text) returns bool immutable language plpgsql as $$ begin " +
    "raise exception 'evil ran as %', current_user; end $$; " +
    "create operator <> (leftarg = text, rightarg = text, function = differs); " +
    "create index trap on circuits (logged_state) " +
    "where coalesce(forced_state, state) operator(public.<>) logged_state",
  ],
  [
    'the type of "trap"',
    "create domain d as text check (fixed(value) <> 'x'); " +
    "alter table circuits add trap d",
  ],
  ['the parent or child "heir"', "create table heir () inherits (circuits)"],
  [
    'the view "circuits_overview"',
    `create or replace view circuits_overview as
    select circuit_overview_2.key, evil()::text as state, null::timestamptz as since,
      null::interval as age, null::timestamptz as opened_at, null::timestamptz as retry_at,
      0::bigint as failure_count, 0::bigint as success_count, 0::bigint as refused_count,
      null::text[] as votes, null::text as forced_state, null::timestamptz as forced_until, null::text as forced_reason,
      null::text as forced_by, null::text as cause, null::text as actor, null::text as role,
      null::text as reason
    from circuits as circuit_overview_2, circuits_changes`,
  ],
  [
    'the view "circuits_timeline"',
    `create or replace view circuits_timeline as
    select version, key, to_timestamp(at) as at, from_state, to_state, cause,
      query_to_xml('select 1', true, true, '')::text as actor, role, reason, failure_count,
      success_count from circuits_changes as circuit_timeline_1`,
  ],
];

Deno.test("migrate refuses a table of a stranger that runs code as the role that uses it", async () => {
  await using stage = await openStage();
  const { attacker, gateway, owner, db } = stage;
  const create = `create function evil() returns text language plpgsql as $$
      begin raise exception 'evil ran as %', current_user; end $$;
    create function evil_trigger() returns trigger language plpgsql as $$
      begin raise exception 'evil ran as %', current_user; end $$;
    create function fixed(text) returns text immutable language plpgsql as $$
      begin raise exception 'evil ran as %', current_user; end $$`;
  for (const [shown, trap] of TRAPS) {
    await attacker.sql.unsafe(create);
    await migrate(attacker.client, "circuits", { grantTo: gateway.name });
    // Without a trap the table is as good as its owner's own.
    await migrate(gateway.client, "circuits");
    await migrate(db.client, "circuits");
    await attacker.sql.unsafe(trap);
    for (const client of [gateway.client, owner.client, db.client]) {
      const of = trap.includes("on circuits_changes")
        ? "circuits_changes"
        : trap.includes("to circuits_instances")
        ? "circuits_instances"
        : shown.match(/view "(.*)"/)?.[1] ?? "circuits";
      assertEquals(
        await refusal(client),
        `Cannot migrate: the table "circuits" belongs to "${attacker.name}" and not to the current ` +
          `role, and ${shown} of "${of}" can run code as the role that uses it, drop it, or migrate ` +
          "as the owner",
        trap,
      );
    }
    await db.sql.unsafe(`drop owned by ${attacker.quoted} cascade;
      grant create, usage on schema public to ${attacker.quoted}`);
  }
});

Deno.test("migrate refuses nothing of the owner's own, nor of a role that it belongs to", async () => {
  await using stage = await openStage();
  const { owner, db, gateway } = stage;
  await migrate(owner.client, "circuits", { grantTo: gateway.name });
  await owner.sql.unsafe(`create table audit (at timestamptz);
    create function audit() returns trigger language plpgsql
      as $$ begin insert into public.audit values (now()); return null; end $$;
    create trigger audit after update on circuits for each statement execute function audit()`);
  await migrate(owner.client, "circuits");
  await assertRejects(() => migrate(gateway.client, "circuits"), SchemaError);
  await db.sql.unsafe(`grant ${owner.quoted} to ${gateway.quoted}`);
  await migrate(gateway.client, "circuits");
});

Deno.test("migrate by another role leaves everything to the owner of the circuits", async () => {
  await using stage = await openStage();
  const { owner, db } = stage;
  await owner.sql.unsafe(`create table circuits (key text primary key, state text not null,
    failure_count integer not null, success_count integer not null, last_failure_time bigint not null,
    last_state_change bigint not null)`);
  await db.sql.unsafe(`revoke create on schema public from ${owner.quoted}`);
  await migrate(db.client, "circuits");
  assertEquals(
    await db.values(`select distinct relowner::regrole::text from pg_class
      where relname like 'circuits%'`),
    [[`"${owner.name}"`.replaceAll('"', /^[a-z0-9_]+$/.test(owner.name) ? "" : '"')]],
  );
  await migrate(owner.client, "circuits");
});

Deno.test("migrate attaches no function of a stranger's, whatever its name", async () => {
  await using stage = await openStage();
  const { attacker, owner, db } = stage;
  await attacker.sql.unsafe(
    `create function circuit_breaker_changed() returns trigger language plpgsql
    as $$ begin raise exception 'evil ran as %, circuit_breaker_', current_user; end $$`,
  );
  await migrate(owner.client, "circuits");
  await owner.sql.unsafe("insert into circuits (key) values ('k')");
  await owner.sql.unsafe("update circuits set state = 'open', version = 1");
  await owner.sql.unsafe("delete from circuits");
  assertEquals(await db.values("select tgname from pg_trigger where not tgisinternal"), []);
  assertEquals(
    (await db.values("select 1 from pg_proc where proname = 'circuit_breaker_changed'")).length,
    1,
  );
});

Deno.test("migrate runs nothing that stands before pg_catalog in the search path", async () => {
  await using stage = await openStage();
  const { attacker, owner, db } = stage;
  await db.sql.unsafe(`create schema evil authorization ${attacker.quoted};
    grant usage on schema evil to public`);
  await attacker.sql.unsafe(evilCatalogue());
  await db.sql.unsafe(`alter role ${owner.quoted} set search_path = evil, public, pg_catalog`);
  await using sql = connect(owner.url, { prepare: false, fetch_types: false });
  const client = fromPostgresJs(sql);
  await migrate(client, "public.circuits");
  await migrate(client, "public.circuits");
  await checkReadiness(client, parseTableName("check", "public.circuits"));
  await db.sql.unsafe("alter table public.circuits drop column version cascade");
  await migrate(client, "public.circuits");
  await db.sql.unsafe(`alter role ${owner.quoted} set search_path = public, evil, pg_catalog`);
  await using second = connect(owner.url, { prepare: false, fetch_types: false });
  await migrate(fromPostgresJs(second), "circuits");
  await assertSchema(db.sql, "circuits");
  await sql.end();
  assert(
    (await db.values("select count(*) from pg_proc where pronamespace = 'evil'::regnamespace"))[0]![
      0
    ] !==
      "0",
  );
});

/** Functions and operators with the names and types of the server's own, which all fail. */
function evilCatalogue(): string {
  const body = "language plpgsql as $$ begin raise exception 'evil ran as %', current_user; end $$";
  const functions = [
    "to_regclass(text) returns regclass",
    "to_regtype(text) returns regtype",
    "parse_ident(text, boolean default true) returns text[]",
    "current_setting(text) returns text",
    "set_config(text, text, boolean) returns text",
    "current_schema() returns name",
    "format(text, variadic text[]) returns text",
    "format(text, text) returns text",
    "format(text, name, text) returns text",
    "array_append(text[], text) returns text[]",
    "cardinality(text[]) returns integer",
    "coalesce_(text) returns text",
    "pg_get_expr(pg_node_tree, oid) returns text",
    "format_type(oid, integer) returns text",
    "pg_get_viewdef(oid) returns text",
    "quote_ident(text) returns text",
    "clock_timestamp() returns timestamptz",
    "floor(numeric) returns numeric",
    "to_timestamp(double precision) returns timestamptz",
    "gen_random_uuid() returns uuid",
    "obj_description(oid, name) returns text",
    "setval(regclass, bigint) returns bigint",
    "length(text) returns integer",
    "concat(variadic text[]) returns text",
    "has_table_privilege(oid, text) returns boolean",
    "unnest(text[]) returns setof text",
  ].map((signature) => `create function evil.${signature} ${body}`);
  const operands = [
    "text",
    "name",
    "oid",
    "bigint",
    "integer",
    '"char"',
    "boolean",
    "text[]",
    "oid[]",
  ];
  const operators = operands.flatMap((type) => {
    const name = type.replace(/\W/g, "_");
    return [
      `create function evil.f_${name}(${type}, ${type}) returns boolean ${body}`,
      ...["=", "<>", "<", ">", "@>", "&&", "~"].map((operator) =>
        `create operator evil.${operator} (leftarg = ${type}, rightarg = ${type},
          function = evil.f_${name})`
      ),
    ];
  });
  const concat = [
    `create function evil.f_concat(text, text) returns text ${body}`,
    "create operator evil.|| (leftarg = text, rightarg = text, function = evil.f_concat)",
  ];
  const types = ["text", "bigint", "record", "name", "oid", "regclass", "bool", "int8"]
    .map((type) => `create type evil."${type}" as (trap int)`);
  return [...functions, ...operators, ...concat, ...types].join(";\n");
}

Deno.test("migrate refuses a part that the search path hides", async () => {
  await using stage = await openStage();
  const { db } = stage;
  await db.sql.unsafe("create schema first; create schema second");
  await db.sql.unsafe(`alter database "${db.database.name}" set search_path = first, second`);
  await using sql = connect(db.url);
  const client = fromPostgresJs(sql);
  await migrate(client, "second.circuits");
  await migrate(client, "circuits");
  await sql.unsafe("create table first.circuits_changes (id int)");
  assertEquals(
    await refusal(client),
    'Cannot migrate: the search path of the role hides a part of the table "circuits", name the ' +
      "table with its schema, or drop what has the same name in another schema",
  );
  await migrate(client, "second.circuits");
});

Deno.test("migrate shows no name that could hold a secret", async () => {
  await using stage = await openStage();
  const { owner, attacker, db } = stage;
  const secret = "hunter2 password";
  await attacker.sql.unsafe(`create table "${secret}_changes" (id int)`);
  const squatted = await refusal(owner.client, secret);
  await attacker.sql.unsafe(`drop table "${secret}_changes"`);
  await migrate(attacker.client, "circuits");
  await attacker.sql.unsafe(`create rule "${secret}" as on update to circuits do also select 1`);
  const trapped = await refusal(db.client);
  for (const message of [squatted, trapped]) {
    assert(!message.includes("hunter2"), message);
    assert(message.includes("(a name of "), message);
  }
});
