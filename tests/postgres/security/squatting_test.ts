/**
 * A neighbour makes what we are going to make, before `migrate`. Either `migrate` refuses, or nothing
 * of the neighbour's has any part in what follows.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type postgres from "postgres";
import { isSchemaError, migrate, type PostgresClient } from "../../../mod.ts";
import { type OpenClient, openNodePostgres } from "../../support/clients.ts";
import { connect } from "../../support/database.ts";
import { type Actor, type Arena, createArena } from "./arena.ts";
import { tour, WAYS } from "./tour.ts";
import { hasTrapRun, makeTraps, resetTraps, TRAPS } from "./traps.ts";

const TABLE = "stoma_circuit_breakers";

/** What an earlier release made beside the table, and attached to it. */
const OLD_FUNCTION = "circuit_breaker_changed";

/** The original store's table. */
const ORIGINAL = `create table ${TABLE} (
  key text primary key, state text not null default 'closed', failure_count integer not null default 0,
  success_count integer not null default 0, last_failure_time bigint not null default 0,
  last_state_change bigint not null default 0)`;

Deno.test("migrate refuses names that a neighbour has taken, or makes its own", async (t) => {
  await using scene = await Scene.open();
  const names = await scene.namesOfOurs();
  const shape = await scene.shape();
  for (const name of names) {
    for (const [kind, make] of Object.entries(SQUATS)) {
      if ((kind === "a function") !== (name === OLD_FUNCTION)) continue;
      await t.step(`${kind} "${name}"`, async () => {
        await scene.clear();
        await scene.attacker.unsafe(make(`public."${name}"`));
        await resetTraps(scene.attacker);
        const isRefused = await scene.migrateAndUse();
        assert(!await hasTrapRun(scene.arena.url));
        if (!isRefused) assertEquals(await scene.shape(), shape);
      });
    }
  }
});

Deno.test("migrate refuses a table of a neighbour's, whatever hangs on it", async (t) => {
  await using scene = await Scene.open();
  for (const trap of TRAPS) {
    await t.step(trap.name, async () => {
      await scene.clear();
      await migrate(scene.attackerClient, TABLE);
      await scene.attacker.unsafe(trap.set(TABLE, "state"));
      await scene.attacker.unsafe("grant all on all tables in schema public to public");
      await resetTraps(scene.attacker);
      const error = await migrate(scene.driver.client, TABLE).catch((error) => error);
      assert(isSchemaError(error), `${error}`);
      assertMatch(error.message, /own/);
      assert(!await hasTrapRun(scene.arena.url));
    });
  }
});

Deno.test("a superuser's migrate refuses a table of others on which code hangs", async (t) => {
  await using scene = await Scene.open();
  for (const trap of TRAPS) {
    await t.step(trap.name, async () => {
      await scene.clear();
      await migrate(scene.attackerClient, TABLE);
      await scene.attacker.unsafe(trap.set(TABLE, "state"));
      await resetTraps(scene.attacker);
      await using superuser = await openNodePostgres(scene.arena.url, { max: 2 });
      const isRefused = await scene.migrateAndUse(superuser.client);
      assert(!await hasTrapRun(scene.arena.url), "the code of another ran");
      assert(isRefused);
    });
  }
});

Deno.test("migrate works on tables of others whom there is reason to trust", async (t) => {
  await using scene = await Scene.open();
  await t.step("a superuser's, on what another role made", async () => {
    await scene.clear();
    await scene.as(scene.arena.gateway, ORIGINAL);
    await using superuser = await openNodePostgres(scene.arena.url, { max: 2 });
    for (let i = 0; i < 2; i++) assert(!await scene.migrateAndUse(superuser.client));
  });
  await t.step("a gateway's, on what the owner of the schema made", async () => {
    await scene.clear();
    const owner = await scene.arena.enter("owner");
    await scene.arena.admin.unsafe(`alter schema public owner to ${owner.quoted}`);
    await using driver = await openNodePostgres(owner.url, { max: 1 });
    await migrate(driver.client, TABLE, { grantTo: scene.arena.gateway.name });
    assert(!await scene.migrateAndUse());
  });
});

Deno.test("migrate refuses companions of a neighbour's beside a table of its own", async (t) => {
  await using scene = await Scene.open();
  const companions = (await scene.tablesOfOurs()).filter((name) => name !== TABLE);
  for (const companion of companions) {
    for (const trap of TRAPS) {
      await t.step(`${companion}: ${trap.name}`, async () => {
        await scene.clear();
        await migrate(scene.attackerClient, TABLE);
        const column = await scene.textColumnOf(companion);
        for (const other of companions) {
          if (other !== companion) await scene.attacker.unsafe(`drop table "${other}" cascade`);
        }
        await scene.attacker.unsafe(`drop table "${TABLE}" cascade`);
        if (column !== undefined) await scene.attacker.unsafe(trap.set(companion, column));
        await scene.attacker.unsafe("grant all on all tables in schema public to public");
        await scene.as(scene.arena.gateway, ORIGINAL);
        await resetTraps(scene.attacker);
        const isRefused = await scene.migrateAndUse();
        assert(!await hasTrapRun(scene.arena.url));
        assert(isRefused);
      });
    }
  }
});

/** What can have a name. */
const SQUATS: Record<string, (name: string) => string> = {
  "a table": (name) =>
    `create table ${name} (key text, state text); grant all on ${name} to public;
    create trigger trap before insert or update or delete on ${name}
      for each row execute function public.trap_trigger()`,
  "a view": (name) =>
    `create view ${name} as select public.trap_text('') as key; grant all on ${name} to public`,
  "a materialized view": (name) =>
    `create materialized view ${name} as select public.trap_text('') as key;
    grant all on ${name} to public`,
  "a sequence": (name) => `create sequence ${name}; grant all on ${name} to public`,
  "a composite type": (name) => `create type ${name} as (key text)`,
  "a domain": (name) => `create domain ${name} as text check (public.trap_text(value) = value)`,
  "an index": (name) =>
    `create table public.trap_table (x text);
    create index ${name.replace("public.", "")} on public.trap_table (x)`,
  "a function": (name) =>
    `create function ${name}() returns trigger language plpgsql as
      'begin perform nextval(''public.trap_runs''); return new; end'`,
};

/** The arena, with what the tests do in it. */
class Scene implements AsyncDisposable {
  readonly arena: Arena;
  /** A connection of the attacker's. */
  readonly attacker: postgres.Sql;
  readonly attackerClient: PostgresClient;
  readonly driver: OpenClient<unknown>;
  readonly #admin: postgres.Sql;
  readonly #open: AsyncDisposableStack;

  private constructor(
    arena: Arena,
    open: AsyncDisposableStack,
    driver: OpenClient<unknown>,
    attacker: OpenClient<unknown>,
  ) {
    this.arena = arena;
    this.attacker = open.use(connect(arena.neighbour.url));
    this.attackerClient = attacker.client;
    this.driver = driver;
    this.#admin = arena.admin;
    this.#open = open;
  }

  static async open(): Promise<Scene> {
    await using open = new AsyncDisposableStack();
    const arena = open.use(await createArena());
    const driver = open.use(await openNodePostgres(arena.gateway.url, { max: 2 }));
    const attacker = open.use(await openNodePostgres(arena.neighbour.url, { max: 2 }));
    return new Scene(arena, open.move(), driver, attacker);
  }

  /** Empties the schema, and arms the attacker. */
  async clear(): Promise<void> {
    await this.#admin.unsafe(`
      drop schema public cascade;
      create schema public;
      grant usage, create on schema public
        to ${this.arena.gateway.quoted}, ${this.arena.neighbour.quoted};
    `);
    await makeTraps(this.attacker);
  }

  async as(role: Actor, text: string): Promise<void> {
    await using sql = connect(role.url);
    await sql.unsafe(text);
  }

  /** Runs migrate and, unless it refuses, all else. Returns whether it refused. */
  async migrateAndUse(client: PostgresClient = this.driver.client): Promise<boolean> {
    try {
      await migrate(client, TABLE);
    } catch (error) {
      assert(isSchemaError(error), `migrate must say what is wrong: ${error}`);
      return true;
    }
    await tour(client, TABLE, { ways: WAYS.slice(2, 4) });
    // An operator who is a superuser forces a circuit by plain SQL, and looks.
    await this.#admin.unsafe(`
      insert into ${TABLE} (key) values ('forced by SQL');
      update ${TABLE} set forced_state = 'open' where key = 'forced by SQL';
      select * from ${TABLE}_overview;
      select * from ${TABLE}_timeline;
      delete from ${TABLE} where key = 'forced by SQL';
    `);
    return false;
  }

  /** The names of what migrate makes in an untouched schema, and has made. */
  async namesOfOurs(): Promise<string[]> {
    await this.clear();
    await migrate(this.driver.client, TABLE);
    const rows = await this.#admin`
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
        and relname not like 'trap%'
      order by 1`;
    return [...rows.map(({ name }) => name), OLD_FUNCTION];
  }

  async tablesOfOurs(): Promise<string[]> {
    await this.namesOfOurs();
    const rows = await this.#admin`
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
        and relkind = 'r' and relname not like 'trap%' order by 1`;
    return rows.map(({ name }) => name);
  }

  async textColumnOf(table: string): Promise<string | undefined> {
    const [row] = await this.#admin`
      select attname from pg_attribute where attrelid = ${table}::regclass and attnum > 0
        and atttypid = 'text'::regtype order by attnum desc limit 1`;
    return row?.attname;
  }

  /** The relations of ours, with their owners and with their indexes by any name. */
  async shape(): Promise<string[]> {
    const rows = await this.#admin`
      select concat_ws(' ', relkind::text, relname, pg_get_userbyid(relowner), (
        select string_agg(substring(pg_get_indexdef(indexrelid) from ' USING .*'), ';' order by 1)
        from (select indexrelid from pg_index where indrelid = c.oid
          order by substring(pg_get_indexdef(indexrelid) from ' USING .*')) as i
      )) as line
      from pg_class c where relnamespace = 'public'::regnamespace and relkind <> 'i'
        and relname like ${TABLE + "%"}
        and pg_get_userbyid(relowner) <> ${this.arena.neighbour.name} order by 1`;
    return rows.map(({ line }) => line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }
}
