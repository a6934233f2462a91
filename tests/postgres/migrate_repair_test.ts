import { assertEquals } from "@std/assert";
import { migrate } from "../../src/postgres/migrate.ts";
import { assertSchema, openDatabase } from "./migrate_stage.ts";

const TABLE = "stoma_circuit_breakers";

/** Damages that the next migration makes good, each as SQL. */
const DAMAGES: Record<string, string> = {
  "an added column": `alter table ${TABLE} drop column probe_count`,
  "several columns":
    `alter table ${TABLE} drop column version cascade, drop column forced_by cascade`,
  "a column of the original": `alter table ${TABLE} drop column success_count cascade`,
  "a default": `alter table ${TABLE} alter column state drop default`,
  "another default": `alter table ${TABLE} alter column version set default 7`,
  "a default where none belongs": `alter table ${TABLE} alter column forced_until set default 5`,
  "a volatile default": `alter table ${TABLE} alter column updated_at set default random() * 1000`,
  "not null": `alter table ${TABLE} alter column version drop not null;
    insert into ${TABLE} (key, version) values ('hole', null)`,
  "not null where it does not belong":
    `alter table ${TABLE} alter column forced_state set default 'x';
    delete from ${TABLE}; alter table ${TABLE} alter column forced_state set not null`,
  "a type":
    `drop view ${TABLE}_overview; alter table ${TABLE} alter column success_count type integer`,
  "a type with a default": `alter table ${TABLE} alter column probe_count type text,
    alter column probe_count set default '3'`,
  "the collation of the key": `drop view ${TABLE}_overview;
    alter table ${TABLE} alter column key type text collate "default"`,
  "the primary key": `alter table ${TABLE} drop constraint ${TABLE}_pkey`,
  "the index of forced states": `drop index ${TABLE}_forced_until_idx`,
  "the index of unlogged states": `drop index ${TABLE}_logged_state_idx`,
  "an index of the same name on something else": `drop index ${TABLE}_forced_until_idx;
    create index ${TABLE}_forced_until_idx on ${TABLE} (updated_at)`,
  "indexes of the log": `drop index ${TABLE}_changes_version_idx, ${TABLE}_changes_xid_idx,
    ${TABLE}_changes_key_version_idx, ${TABLE}_changes_at_version_idx`,
  "settings": `alter table ${TABLE} set (fillfactor = 90); alter table ${TABLE}_changes
    reset (autovacuum_vacuum_threshold); alter table ${TABLE}_instances reset (fillfactor)`,
  "the log": `drop table ${TABLE}_changes cascade`,
  "a column of the log": `alter table ${TABLE}_changes drop column xid, drop column role cascade`,
  "a log that a crash empties": `alter table ${TABLE}_changes set unlogged`,
  "the instances": `drop table ${TABLE}_instances`,
  "the key of the instances":
    `alter table ${TABLE}_instances drop constraint ${TABLE}_instances_pkey;
    insert into ${TABLE}_instances (id) values ('token'), ('token')`,
  "the epoch": `drop table ${TABLE}_epoch`,
  "an epoch that a crash leaves": `alter table ${TABLE}_epoch set logged`,
  "an epoch of many rows": `alter table ${TABLE}_epoch drop constraint ${TABLE}_epoch_one_check;
    insert into ${TABLE}_epoch values (false, 'x')`,
  "the sequence": `drop sequence ${TABLE}_versions`,
  "the settings of the sequence": `alter sequence ${TABLE}_versions increment 10 cache 20 cycle`,
  "a small sequence": `alter sequence ${TABLE}_versions as integer`,
  "a sequence that ends": `alter sequence ${TABLE}_versions maxvalue 1000`,
  "a descending sequence": `drop sequence ${TABLE}_versions;
    create sequence ${TABLE}_versions increment -1; select nextval('${TABLE}_versions')`,
  "the views": `drop view ${TABLE}_overview, ${TABLE}_timeline`,
  "a view with other columns": `drop view ${TABLE}_overview;
    create view ${TABLE}_overview as select key from ${TABLE}`,
  "a view of the same columns": `drop view ${TABLE}_timeline;
    create view ${TABLE}_timeline as select version, key, to_timestamp(at) as at, from_state, to_state,
      cause, actor, role, reason, failure_count, success_count from ${TABLE}_changes`,
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  Deno.test(`migrate repairs ${what}`, async () => {
    await using db = await openDatabase();
    await migrate(db.client);
    await db.sql.unsafe(`insert into ${TABLE} (key, version, updated_at) values ('kept', 5, 1)`);
    await db.sql.unsafe(damage);
    await migrate(db.client);
    const isIndex = what.startsWith("an index of the same name");
    if (isIndex) await db.sql.unsafe(`drop index ${TABLE}_forced_until_idx`);
    await assertSchema(db.sql);
    assertEquals(
      await db.values(
        `select nextval('${TABLE}_versions') > coalesce(max(version), 0) from ${TABLE}`,
      ),
      [[true]],
    );
    assertEquals(await db.values(`select library from ${TABLE}_instances where id = 'token'`), [
      ["schema 3"],
    ]);
    assertEquals(await db.values(`select count(*)::int from ${TABLE}_epoch`), [[1]]);
  });
}

Deno.test("migrate repairs one part and leaves the others as they are", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const identity = () =>
    db.values(`select relname::text, oid::text, relfilenode::text from pg_class
      where relname like '${TABLE}%' and relname not like '%timeline' order by relname`);
  const before = await identity();
  await db.sql.begin(async (other) => {
    // A lock on the circuits would wait for this transaction.
    await other.unsafe(`insert into ${TABLE} (key) values ('busy')`);
    await db.sql.unsafe(`drop view ${TABLE}_timeline`);
    await migrate(db.client, TABLE, { timeoutMs: 10_000 });
  });
  await assertSchema(db.sql);
  assertEquals(await identity(), before);
});

Deno.test("migrate gives rows their versions back from the log", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(`insert into ${TABLE} (key, version) values ('a', 4), ('b', 0)`);
  await db.sql.unsafe(`insert into ${TABLE}_changes (version, key, at, from_state, to_state, cause)
    values (3, 'a', 0, 'closed', 'open', 'trip'), (4, 'a', 0, 'open', 'closed', 'manual')`);
  await db.sql.unsafe(`alter table ${TABLE} drop column version cascade`);
  await migrate(db.client);
  assertEquals(await db.values(`select key, version::text from ${TABLE} order by key`), [
    ["a", "4"],
    ["b", "0"],
  ]);
});

Deno.test("migrate brings the sequence in front of all versions and never back", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  const next = async () => Number((await db.values(`select nextval('${TABLE}_versions')`))[0]![0]);
  await db.sql.unsafe(`insert into ${TABLE} (key, version, zeroed_version) values ('k', 40, 90)`);
  await migrate(db.client);
  assertEquals(await next(), 91);
  await db.sql.unsafe(`insert into ${TABLE}_changes (version, key, at, from_state, to_state, cause)
    values (200, 'k', 0, 'closed', 'open', 'trip')`);
  await migrate(db.client);
  assertEquals(await next(), 201);
  await db.sql.unsafe(`select setval('${TABLE}_versions', 1000)`);
  await migrate(db.client);
  assertEquals(await next(), 1001);
});

Deno.test("migrate keeps the privileges on views that it makes again", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(`drop view ${TABLE}_overview; drop view ${TABLE}_timeline;
    create view ${TABLE}_overview as select 1 as one;
    create view ${TABLE}_timeline as select version, key, now() as at, from_state, to_state, cause,
      actor, role, reason, failure_count, success_count from ${TABLE}_changes;
    grant select on ${TABLE}_overview, ${TABLE}_timeline to public, pg_monitor`);
  await migrate(db.client);
  for (const view of ["overview", "timeline"]) {
    assertEquals(
      await db.values(`select grantee::regrole::text, privilege_type from pg_class,
        aclexplode(relacl) where relname = '${TABLE}_${view}' and grantee <> relowner order by 1`),
      [["-", "SELECT"], ["pg_monitor", "SELECT"]],
    );
  }
});

Deno.test("migrate clears the ids of transactions of another cluster and no others", async () => {
  await using db = await openDatabase();
  await migrate(db.client);
  await db.sql.unsafe(
    `insert into ${TABLE}_changes (version, xid, key, at, from_state, to_state, cause)
    values (1, pg_current_xact_id(), 'own', 0, 'closed', 'open', 'trip'),
      (2, '123456789012', 'restored', 0, 'closed', 'open', 'trip')`,
  );
  await migrate(db.client);
  assertEquals(
    await db.values(`select key, xid = '0' from ${TABLE}_changes order by version`),
    [["own", false], ["restored", true]],
  );
  await db.sql.begin(async (transaction) => {
    await transaction.unsafe(`update ${TABLE}_changes set xid = pg_current_xact_id()`);
    await migrate({ query: async (text) => ({ rows: await transaction.unsafe(text) }) });
    const [row] = await transaction.unsafe(
      `select bool_or(xid = '0') as cleared from ${TABLE}_changes`,
    );
    assertEquals(row!.cleared, false);
  });
});
