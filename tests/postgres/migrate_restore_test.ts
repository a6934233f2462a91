import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../src/postgres/migrate.ts";
import { schemaSql } from "../../src/postgres/schema.ts";
import { dump, dumpVersion, runPsql } from "../support/pg_dump.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { assertSchema, migrateAtOnce, openDatabase, type Stage } from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";

const VERSION = await dumpVersion();

/** A log whose ids of transactions are far ahead of a new cluster's. */
const ROWS = `
  insert into ${TABLE} (key, state, logged_state, version, zeroed_version, updated_at)
    values ('a', 'open', 'open', 40, 0, 1), ('b', 'closed', 'closed', 50, 60, 1);
  insert into ${TABLE}_changes (version, xid, key, at, from_state, to_state, cause)
    values (40, '999999999', 'a', 5, 'closed', 'open', 'trip'),
      (60, '999999998', 'b', 6, 'open', 'closed', 'manual');
  select setval('${TABLE}_versions', 70)`;

async function next(db: Stage, table = TABLE): Promise<number> {
  return Number((await db.values(`select nextval('${table}_versions')`))[0]![0]);
}

Deno.test({
  name: "migrate survives dumps and restores",
  ignore: VERSION === undefined,
  async fn(t) {
    await using server = await startPostgres({ version: VERSION! });
    await using source = await openDatabase(server.url);
    await migrate(source.client);
    await source.sql.unsafe(ROWS);
    await source.sql.unsafe(`comment on table ${TABLE} is 'owned by the edge team'`);

    for (
      const options of [[], ["--no-comments"], ["--no-unlogged-table-data"], [
        "--clean",
        "--if-exists",
      ]]
    ) {
      await t.step(`whole ${options.join(" ")}`, async () => {
        await using db = await openDatabase(server.url);
        await runPsql(db.url, await dump(source.url, ...options));
        const before = await db.values(
          "select oid::text, relfilenode::text from pg_class order by 1",
        );
        await migrate(db.client);
        await assertSchemaWithComment(db, !options.includes("--no-comments"));
        // Nothing was made again.
        assertEquals(
          await db.values("select oid::text, relfilenode::text from pg_class order by 1"),
          before,
        );
        assertEquals(
          await db.values(`select key, version::text, xid::text from ${TABLE}_changes order by 2`),
          [["a", "40", "0"], ["b", "60", "0"]],
        );
        assertEquals(await next(db), 71);
        assertEquals(await db.values(`select count(*)::int from ${TABLE}_epoch`), [[1]]);
        assertEquals(await db.values(`select key, state from ${TABLE}_overview order by 1`), [
          ["a", "open"],
        ]);
      });
    }

    await t.step("the circuits alone", async () => {
      await using db = await openDatabase(server.url);
      await runPsql(db.url, await dump(source.url, "-t", TABLE, "--no-comments"));
      await migrate(db.client);
      await assertSchema(db.sql);
      assertEquals(
        await db.values(`select key, logged_state, version::text from ${TABLE} order by 1`),
        [
          ["a", "open", "40"],
          ["b", "closed", "50"],
        ],
      );
      assertEquals(await next(db), 61);
    });

    await t.step("the circuits alone, over a table that is in use", async () => {
      await using db = await openDatabase(server.url);
      await migrate(db.client);
      await db.sql.unsafe(`drop table ${TABLE} cascade`);
      await runPsql(db.url, await dump(source.url, "-t", TABLE, "--no-comments"));
      await migrate(db.client);
      await assertSchema(db.sql);
      assertEquals(await next(db), 61);
    });

    await t.step("the schema alone", async () => {
      await using db = await openDatabase(server.url);
      await runPsql(db.url, await dump(source.url, "--schema-only", "--no-comments"));
      await migrate(db.client);
      await assertSchema(db.sql);
      assertEquals(await db.values(`select id, library from ${TABLE}_instances`), [
        ["token", "schema 3"],
      ]);
    });

    await t.step("psql runs the printed SQL while instances migrate", async () => {
      await using db = await openDatabase(server.url);
      let count = 0;
      await migrateAtOnce(db.url, Array(8).fill(TABLE), async (client) => {
        if (count++ % 2 === 0) await migrate(client);
        else await runPsql(db.url, `${schemaSql()};\n`);
      });
      await assertSchema(db.sql);
    });
  },
});

async function assertSchemaWithComment(db: Stage, hasComment: boolean): Promise<void> {
  const comment = `select obj_description('${TABLE}'::regclass, 'pg_class')`;
  assertEquals(await db.values(comment), [[hasComment ? "owned by the edge team" : null]]);
  await db.sql.unsafe(`comment on table ${TABLE} is null`);
  await assertSchema(db.sql);
}

Deno.test("migrate makes new companions for a table that was renamed, ahead of its rows", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(ROWS);
  await db.sql.unsafe(`alter table ${TABLE} rename to renamed`);
  await migrate(db.client, "renamed");
  await assertSchema(db.sql, "renamed");
  assertEquals(await next(db, "renamed"), 61);
  assertEquals(await db.values("select key, state from renamed_overview order by 1"), [[
    "a",
    "open",
  ]]);
  // The old name is free for a new table, which gets what the old one left, and views of its own.
  await migrate(db.client);
  await assertSchema(db.sql);
  assertEquals(await next(db), 71);
  assertEquals(await db.values(`select count(*)::int from ${TABLE}_overview`), [[0]]);
});

Deno.test("migrate makes new companions for a table that moved to another schema", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(ROWS);
  await db.sql.unsafe(`create schema ops; alter table ${TABLE} set schema ops`);
  await migrate(db.client, `ops.${TABLE}`);
  await assertSchema(db.sql, `ops.${TABLE}`);
  assertEquals(await next(db, `ops.${TABLE}`), 61);
});

Deno.test("migrate keeps companions that moved with their table", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(ROWS);
  await db.sql.unsafe("alter schema public rename to ops; create schema public");
  await migrate(db.client, `ops.${TABLE}`);
  await assertSchema(db.sql, `ops.${TABLE}`);
  assertEquals(await next(db, `ops.${TABLE}`), 71);
  assert(
    (await db.values("select 1 from pg_class where relnamespace = 'public'::regnamespace"))
      .length === 0,
  );
});
