/** The migration, beside functions and operators of an attacker's that have the types of its calls. */

import { assertEquals } from "@std/assert";
import { migrate } from "../../../mod.ts";
import { openNodePostgres } from "../../support/clients.ts";
import { connect } from "../../support/database.ts";
import { createArena } from "./arena.ts";
import { Attacker } from "./attacker.ts";

const TABLE = "circuits";

/** The attacker works before each new statement is sent, and that takes seconds. */
const PATIENCE = { timeoutMs: 300_000 };

/** What a migration can find. */
const BEFORE: Record<string, string> = {
  "nothing": "select",
  "the original store's table": `create table ${TABLE} (
    key text primary key, state text not null default 'closed', failure_count integer not null default 0,
    success_count integer not null default 0, last_failure_time bigint not null default 0,
    last_state_change bigint not null default 0);
  insert into ${TABLE} (key, state, failure_count) values ('a', 'open', 7), ('b', 'closed', 3)`,
  "a table of schema 1 that was changed": `create table ${TABLE} (key text primary key,
    state text not null default 'closed', failure_count bigint default 0, success_count bigint default 0,
    last_failure_time bigint default 0, last_state_change bigint default 0,
    version bigint not null default 7, probe_count integer not null default 0);
  insert into ${TABLE} (key, state) values ('a', 'half-open');
  comment on table ${TABLE} is '@circuit-breaker/postgres schema 1'`,
};

Deno.test("migrate runs no function or operator of a neighbour's", async (t) => {
  await using arena = await createArena();
  await using attacker = new Attacker(arena);
  await using driver = await openNodePostgres(arena.gateway.url, { max: 1 });
  await using sql = connect(arena.gateway.url);
  const client = attacker.ambush(driver.client);
  for (const [what, before] of Object.entries(BEFORE)) {
    await t.step(what, async () => {
      await sql.unsafe(before);
      await migrate(client, TABLE, PATIENCE);
      // The views run what was found when they were made.
      await sql.unsafe(`select * from ${TABLE}_overview`);
      await sql.unsafe(`select * from ${TABLE}_timeline`);
      // A repair, with the attacker's functions in place from the beginning.
      await sql.unsafe(`drop view ${TABLE}_overview; drop table ${TABLE}_changes cascade;
        alter table ${TABLE} drop column forced_reason cascade`);
      await migrate(client, TABLE, PATIENCE);
      await migrate(client, TABLE, PATIENCE);
      await sql.unsafe(`select * from ${TABLE}_overview`);
      assertEquals(attacker.findings(), []);
      await sql.unsafe(
        `drop table ${TABLE}, ${TABLE}_changes, ${TABLE}_instances, ${TABLE}_epoch cascade;
        drop sequence ${TABLE}_versions`,
      );
    });
  }
});
