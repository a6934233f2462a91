/** What `migrate` leaves in a database, and what a neighbour can do to it afterwards. */

import { assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../../mod.ts";
import { openNodePostgres } from "../../support/clients.ts";
import { connect } from "../../support/database.ts";
import { createArena } from "./arena.ts";
import { tour, WAYS } from "./tour.ts";

const TABLE = "stoma_circuit_breakers";

Deno.test("migrate leaves no trigger, no function, no rule and nothing for public", async () => {
  await using arena = await createArena();
  const { admin } = arena;
  await using driver = await openNodePostgres(arena.gateway.url, { max: 1 });
  await migrate(driver.client, TABLE);
  await tour(driver.client, TABLE, { ways: WAYS.slice(0, 1) });
  const ours = "select oid from pg_class where relnamespace = 'public'::regnamespace";
  const left = await admin.unsafe(`
    select 'function ' || proname as what from pg_proc where pronamespace = 'public'::regnamespace
    union all select 'trigger ' || tgname from pg_trigger where tgrelid in (${ours})
    union all select 'rule ' || rulename from pg_rewrite
      where ev_class in (${ours}) and rulename <> '_RETURN'
    union all select 'policy ' || polname from pg_policy where polrelid in (${ours})
    union all select 'operator ' || oprname from pg_operator
      where oprnamespace = 'public'::regnamespace
    union all select 'event trigger ' || evtname from pg_event_trigger
    union all select 'privilege on ' || relname from pg_class, aclexplode(relacl) as privilege
      where relnamespace = 'public'::regnamespace and privilege.grantee = 0
    union all select 'comment' from pg_description
      where objoid in (${ours} and relkind <> 'v') or objoid in (${ours}) and objsubid = 0`);
  assertEquals(left.map(({ what }) => what), []);
});

Deno.test("a neighbour without privileges that holds locks stops nothing", async () => {
  await using arena = await createArena();
  const { gateway, neighbour, admin } = arena;
  await using driver = await openNodePostgres(gateway.url, { max: 4 });
  await migrate(driver.client, TABLE);
  await using held = connect(neighbour.url);
  const relations = await admin`
    select relname, relkind from pg_class where relnamespace = 'public'::regnamespace
      and relkind in ('r', 'v')`;
  await held.unsafe("begin");
  for (const { relname } of relations) {
    // To parse a statement is to lock its tables, also without the privilege to run it.
    await held.unsafe(`prepare "of ${relname}" as select * from public."${relname}"`);
  }
  await held.unsafe(`select pg_advisory_lock(hashtextextended('@circuit-breaker/postgres', 0))`);
  await held.unsafe(`select pg_advisory_lock(1)`);
  const [locks] = await admin`
    select count(*)::int from pg_locks join pg_class on pg_class.oid = relation
    where relname like ${TABLE + "%"} and pid <> pg_backend_pid() and mode = 'AccessShareLock'`;
  assertEquals(locks!.count >= relations.length, true, "the attacker holds its locks");
  await migrate(driver.client, TABLE, { timeoutMs: 5000 });
  await tour(driver.client, TABLE, { ways: WAYS.slice(0, 4) });
  await held.unsafe("rollback");
});

Deno.test("no call takes an advisory lock", async () => {
  await using arena = await createArena();
  await using driver = await openNodePostgres(arena.gateway.url, { max: 4 });
  const texts = new Set<string>();
  const client = {
    query(text: string, params?: unknown[]) {
      texts.add(text);
      return driver.client.query(text, params);
    },
  };
  await migrate(client, TABLE);
  await tour(client, TABLE);
  assertEquals([...texts].filter((text) => /advisory/i.test(text)), []);
});

Deno.test("a neighbour's views and types that use the table do not stop it", async () => {
  await using arena = await createArena();
  const { gateway, neighbour } = arena;
  await using driver = await openNodePostgres(gateway.url, { max: 4 });
  await migrate(driver.client, TABLE);
  await using sql = connect(neighbour.url);
  await sql.unsafe(`
    create view public.on_circuits as select * from public.${TABLE};
    create view public.on_log as select * from public.${TABLE}_changes;
    create view public.on_overview as select * from public.${TABLE}_overview;
    create table public.of_rows (one public.${TABLE}, other public.${TABLE}_changes)`);
  await migrate(driver.client, TABLE);
  await tour(driver.client, TABLE, { ways: WAYS.slice(0, 1) });
  await sql.unsafe(
    "drop view public.on_circuits, public.on_log, public.on_overview; drop table public.of_rows",
  );
});

Deno.test("a neighbour reads and writes nothing of ours, and cannot take a version", async () => {
  await using arena = await createArena();
  const { gateway, neighbour, admin } = arena;
  await using driver = await openNodePostgres(gateway.url, { max: 4 });
  await migrate(driver.client, TABLE);
  await using store = new PostgresCircuitBreakerStore(driver.client, TABLE);
  await store.transition("api", "open");
  await using sql = connect(neighbour.url);
  const relations = await admin`
    select relname, relkind from pg_class where relnamespace = 'public'::regnamespace
      and relkind in ('r', 'v', 'S')`;
  const refused: string[] = [];
  const attempts = (name: string) => [
    `select * from "${name}"`,
    `insert into "${name}" default values`,
    `delete from "${name}"`,
    `truncate "${name}"`,
    `lock "${name}"`,
    `create trigger evil before insert on "${name}" for each row execute function suppress_redundant_updates_trigger()`,
    `create rule evil as on insert to "${name}" do instead nothing`,
    `create policy evil on "${name}" using (false)`,
    `alter table "${name}" rename to taken`,
    `create table evil (x text references "${name}")`,
    `create table evil () inherits ("${name}")`,
    `create index evil on "${name}" ((1))`,
    `create statistics evil on (1), (2) from "${name}"`,
    `comment on table "${name}" is 'mine'`,
    `select nextval('"${name}"')`,
    `select setval('"${name}"', 1)`,
    `drop table "${name}"`,
  ];
  for (const { relname } of relations) {
    for (const attempt of attempts(relname)) {
      const error = await sql.unsafe(attempt).then(() => undefined, (error) => error);
      if (error === undefined) refused.push(`was allowed: ${attempt}`);
    }
  }
  assertEquals(refused, []);
  assertEquals((await store.getState("api")).state, "open");
});
