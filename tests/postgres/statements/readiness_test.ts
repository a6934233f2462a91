import { assert, assertEquals, assertMatch } from "@std/assert";
import postgres from "postgres";
import { migrate, type PostgresClient } from "../../../mod.ts";
import { type CompanionNames, parseTableName } from "../../../src/postgres/identifier.ts";
import { READINESS_STATEMENT } from "../../../src/postgres/statements/readiness.ts";
import { openPglite } from "../../support/clients.ts";
import { connect, createDatabase } from "../../support/database.ts";
import { check, MISSING, openStage } from "../readiness_stage.ts";

/** What a role that has nothing yet lacks on all parts. `place` names the table, with a suffix. */
function grantsOn(place: (suffix: string) => string, role: string): string {
  const lacking: [what: string, suffix: string][] = [
    ["select, insert, update, delete on ", ""],
    ["select, insert, delete on ", "_changes"],
    ["select, insert, update, delete on ", "_instances"],
    ["select, insert on ", "_epoch"],
    ["usage on sequence ", "_versions"],
    ["select on ", "_overview"],
    ["select on ", "_timeline"],
  ];
  return lacking.map(([what, suffix]) => `grant ${what}${place(suffix)} to ${role}`).join("; ");
}

Deno.test("checkReadiness follows the search path for a name without a schema", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  const check = () => stage.check("circuits");
  const missing =
    'SchemaError: Cannot check: the table "circuits" does not exist, run migrate(client, table) first';
  assertEquals(await check(), missing);

  // Each way in which the path can name the schema, which the server passes over without usage.
  const usage = MISSING +
    `grant usage on schema "ops" to ${stage.quoted}; ` +
    grantsOn((suffix) => `"ops"."circuits${suffix}"`, stage.quoted);
  for (const path of ["ops", "OPS", '"ops"', ' public ,"a,""b" , ops']) {
    await stage.client.query("select set_config('search_path', $1::text, false)", [path]);
    assertEquals(await check(), usage, path);
  }
  for (const path of ["public", '"OPS"', '"a,ops"', ""]) {
    await stage.client.query("select set_config('search_path', $1::text, false)", [path]);
    assertEquals(await check(), missing, path);
  }
  await stage.client.query("set search_path = ops, public");
  await stage.grantAll();
  assertEquals(await check(), "ready");

  await stage.run(`alter schema ops rename to ${stage.quoted}`);
  assertEquals(await check(), missing);
  await stage.client.query('set search_path = "$user", public');
  assertEquals(await check(), "ready");
  await stage.run(`revoke usage on schema ${stage.quoted} from ${stage.quoted}`);
  assertEquals(
    await check(),
    MISSING +
      `grant usage on schema ${stage.quoted} to ${stage.quoted}`,
  );

  // A table that the path reaches comes before one that it passes over.
  await migrate(stage.admin, "public.circuits");
  assertEquals(
    await check(),
    MISSING + grantsOn((suffix) => `"public"."circuits${suffix}"`, stage.quoted),
  );
});

Deno.test("checkReadiness says what a wrong client returned, and what to do", async () => {
  const changed = (what: string) =>
    'CircuitBreakerStoreError: Cannot check: "client" must run the statement that it is given and ' +
    `return rows with the names and values of their columns, received ${what} as ` +
    '"circuit_breaker_readiness"';
  const answers: [answer: unknown, message: string][] = [
    [{ rows: [] }, changed("undefined")],
    [{ rows: [{ circuitBreakerReadiness: "{}" }] }, changed("undefined")],
    [{ rows: [{ circuit_breaker_readiness: {} }] }, changed("an object")],
  ];
  for (const [answer, message] of answers) {
    const client: PostgresClient = { query: () => Promise.resolve(answer as never) };
    assertEquals(await check(client), message);
  }
  await using database = await createDatabase();
  await using camel = connect(database.url, { transform: { column: postgres.toCamel } });
  assertEquals(
    await check({
      query: async (text, params) => ({ rows: await camel.unsafe(text, params as never[]) }),
    }),
    changed("undefined"),
  );
  // What is no rows at all is refused as in every other statement.
  const bare: PostgresClient = { query: () => Promise.resolve([] as never) };
  assertEquals(
    (await check(bare)).split(":")[1],
    " Cannot read rows",
  );
});

Deno.test("checkReadiness works for names that need quotes, and shows none but plain ones", async () => {
  const bell = String.fromCharCode(7);
  const hostile = [
    'quote " quote',
    "it's",
    "two words",
    "ünïcödé",
    "dot.dot",
    '"."',
    "back\\slash",
    `bell${bell}\nline`,
    "$user",
    "%I",
    "x".repeat(63),
  ];
  await using stage = await openStage(`it's "${bell}"`);
  const role = `(a name of ${stage.role.length} characters)`;
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const shown = (name: string) =>
    /^[\w$]+$/.test(name) ? quote(name) : `(a name of ${name.length} characters)`;
  for (const name of hostile) {
    await stage.run(`create schema ${quote(name)}`);
    const table = `${quote(name)}.${quote(name)}`;
    const place = `${shown(name)}.${shown(name)}`;
    assertEquals(
      await stage.check(table),
      `SchemaError: Cannot check: the table ${place} does not exist, ` +
        "run migrate(client, table) first",
    );
    await migrate(stage.admin, table);
    const grants = `grant usage on schema ${shown(name)} to ${role}; ` +
      grantsOn((suffix) => `${shown(name)}.${shown(nameOf(quote(name), suffix))}`, role);
    assertEquals(await stage.check(table), MISSING + grants);
    await stage.client.query("select set_config('search_path', $1::text, false)", [quote(name)]);
    if (name !== "$user") assertEquals(await stage.check(quote(name)), MISSING + grants);
    await stage.run(`grant usage on schema ${quote(name)} to ${stage.quoted}`);
    await stage.run(`grant all on all tables in schema ${quote(name)} to ${stage.quoted}`);
    await stage.run(`grant all on all sequences in schema ${quote(name)} to ${stage.quoted}`);
    assertEquals(await stage.check(table), "ready");
  }
});

/** The name of a table, or of what stands beside it, from the quoted name of the table. */
function nameOf(table: string, suffix: string): string {
  const { quoted, ...companions } = parseTableName("test", table);
  const name = suffix === "" ? quoted : companions[suffix.slice(1) as keyof CompanionNames].quoted;
  return name.slice(1, -1).replaceAll('""', '"');
}

Deno.test("checkReadiness runs nothing of others that stands before the catalogue in the path", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  const functions = namesOf(/(\w+)\(/g);
  const operators = namesOf(/([=<>]+)/g);
  assert(functions.length > 10 && operators.length > 1, `found ${functions} and ${operators}`);
  await stage.run("create schema trap");
  await stage.sql.unsafe(TRAP);
  await stage.run(`grant usage on schema trap to ${stage.quoted}`);
  for (const name of functions) await stage.run(`call trap.functions('${name}')`);
  for (const name of operators) await stage.run(`call trap.operators('${name}')`);
  for (const type of ["text", "name", "oid"]) {
    await stage.run(`create domain trap.${type} as int4 check (false)`);
  }
  for (const relation of ["pg_class", "pg_namespace", "pg_attribute", "pg_policy", "pg_settings"]) {
    await stage.run(`create table trap.${relation} (trap int4)`);
  }
  const use = (path: string) => stage.client.query(`set search_path = ${path}`);
  await use("trap, ops, pg_catalog");
  const caught = [
    "select lower('A'::pg_catalog.text)",
    "select 'a'::pg_catalog.text = 'b'::pg_catalog.text",
    "select 'a'::text",
    "select relname from pg_class",
  ];
  for (const text of caught) {
    const error = await stage.client.query(text).catch((error: unknown) => error);
    assert(error instanceof Error, text);
  }

  const findings: [finding: RegExp, ...changes: string[]][] = [
    [/^ready$/],
    [/hide circuits/, "alter table ops.circuits enable row level security"],
    [/^ready$/, `create policy members on ops.circuits to ${stage.quoted} using (true)`],
    [/run: grant select on "ops"/, `revoke select on ops.circuits from ${stage.quoted}`],
    [/run: grant usage on schema "ops"/, `revoke usage on schema ops from ${stage.quoted}`],
    [/does not exist/, "drop table ops.circuits cascade"],
    [/^SchemaError/, "drop schema ops cascade"],
  ];
  for (const [finding, ...changes] of findings) {
    for (const change of changes) await stage.run(change);
    for (const table of ["circuits", "ops.circuits"]) {
      await use("ops");
      const expected = await stage.check(table);
      assertMatch(expected, finding);
      await use("trap, ops, pg_catalog");
      assertEquals(await stage.check(table), expected);
    }
  }
});

Deno.test("checkReadiness works on PGlite", async () => {
  await using pglite = await openPglite();
  assertEquals(
    await check(pglite.client),
    'SchemaError: Cannot check: the table "circuits" does not exist, run migrate(client, table) first',
  );
  await migrate(pglite.client, "circuits");
  assertEquals(await check(pglite.client), "ready");
  await pglite.raw.exec("create role gateway; set role gateway");
  assertEquals(
    await check(pglite.client),
    MISSING + grantsOn((suffix) => `"public"."circuits${suffix}"`, '"gateway"'),
  );
});

function namesOf(pattern: RegExp): string[] {
  return [...new Set([...READINESS_STATEMENT.matchAll(pattern)].map(([, name]) => name!))];
}

/** Procedures that make functions and operators with the operands of the catalogue's own. */
const TRAP = `create procedure trap.functions(wanted text) language plpgsql as $$
declare made record;
begin
  for made in
    select pg_get_function_arguments(oid) as arguments,
      pg_get_function_result(oid) as result,
      case provariadic when '"any"'::regtype
        -- No language but the server's own takes any operands: another answer is the trap there.
        then 'internal as ''json_build_array'''
        else 'plpgsql as ''begin raise exception ''''trapped''''; end''' end as body
    from pg_proc where proname = wanted and pronamespace = 'pg_catalog'::regnamespace
      and prokind = 'f'
  loop
    execute format('create function trap.%I(%s) returns %s language %s',
      wanted, made.arguments, made.result, made.body);
  end loop;
end $$;
create procedure trap.operators(wanted text) language plpgsql as $$
declare made record;
begin
  for made in
    select oprleft::regtype as left_type, oprright::regtype as right_type from pg_operator
    where oprname = wanted and oprnamespace = 'pg_catalog'::regnamespace
  loop
    execute format('create or replace function trap.operand(%s, %s) returns boolean language plpgsql as %L',
      made.left_type, made.right_type, 'begin raise exception ''trapped''; end');
    execute format('create operator trap.%s (function = trap.operand, leftarg = %s, rightarg = %s)',
      wanted, made.left_type, made.right_type);
  end loop;
end $$`;
