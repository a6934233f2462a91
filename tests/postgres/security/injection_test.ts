/** Texts of callers and names of tables that would mean something if they were pasted into a statement. */

import { assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, schemaSql } from "../../../mod.ts";
import { openNodePostgres } from "../../support/clients.ts";
import { connect, createDatabase } from "../../support/database.ts";
import { tour, WAYS } from "./tour.ts";

/** What ends a literal, an identifier, a comment or a body, and what formats. */
const TEXTS: readonly string[] = [
  `'; drop table victim; --`,
  `"; drop table victim; --`,
  `$$; drop table victim; $$`,
  `$migration$; drop table victim; $migration$`,
  `\\'; drop table victim; --`,
  `%s %I %L %1$s %% %n`,
  `*/ drop table victim; /*`,
  `{"a",NULL} ,{},'"\\`,
  `["]}, {"forced_state": "open"}`,
  `line\nbreak\r\n\ttab \u001b[31m`,
  `null`,
  `$1 $2 :name ?`,
  `é漢🙂 \u202e\u2028`,
];

/** Names that PostgreSQL can hold. */
const NAMES: readonly string[] = [
  `quote'd`,
  `double""d`.replace(`""`, `"`),
  `$$`,
  `$migration$`,
  `%I%s%L%%`,
  `back\\slash`,
  `new\nline`,
  `semi; drop table victim; --`,
  `select`,
  `Ünïcödé 漢🙂`,
  `x`.repeat(63),
  `y`.repeat(62),
  `'x'.y`,
];

Deno.test("what callers write reaches the table and the log as it is", async (t) => {
  await using database = await createDatabase();
  await using admin = connect(database.url);
  await using driver = await openNodePostgres(database.url, { max: 2 });
  await admin.unsafe("create table victim ()");
  await migrate(driver.client, "circuits");
  await using plain = new PostgresCircuitBreakerStore(driver.client, "circuits");
  for (const text of TEXTS) {
    await t.step(JSON.stringify(text), async () => {
      // Each way has keys of its own, so its states do not depend on the text.
      assertEquals(
        await tour(driver.client, "circuits", { text }),
        await tour(driver.client, "circuits", { text: "plain text" }),
      );
      const forced = await plain.forceOpen(text, { reason: text });
      assertEquals(forced.state, "open");
      const [listed] = (await plain.list({ limit: 1000 })).filter(({ key }) => key === text);
      assertEquals(listed?.forced?.reason, text);
      const [change] = await plain.history({ key: text, limit: 1 });
      assertEquals([change?.key, change?.reason], [text, text]);
      await plain.reset(text);
    });
  }
  await admin.unsafe("select from victim");
});

Deno.test("characters that PostgreSQL cannot hold stop no call", async () => {
  await using database = await createDatabase();
  await using driver = await openNodePostgres(database.url, { max: 2 });
  await migrate(driver.client, "circuits");
  await using store = new PostgresCircuitBreakerStore(driver.client, "circuits", {
    instanceId: "a\0b\ud800",
  });
  const key = "nul \0 and \ud800";
  await store.recordFailure(key);
  await store.transition(key, "open");
  assertEquals((await store.getState(key)).state, "open");
  await store.forceClosed(key, { reason: "why \0 \udfff" });
  assertEquals((await store.getState(key)).state, "closed");
});

Deno.test("names of tables stay names", async (t) => {
  await using database = await createDatabase();
  await using admin = connect(database.url);
  await using driver = await openNodePostgres(database.url, { max: 2 });
  await admin.unsafe("create table victim (); create table plain_victim ()");
  for (const name of NAMES) {
    await t.step(JSON.stringify(name.slice(0, 30)), async () => {
      const table = `"${name.replaceAll('"', '""')}"`;
      const relations = () =>
        admin`select relname from pg_class where relkind in ('r', 'v', 'S')
        and relnamespace = 'public'::regnamespace`;
      const before = (await relations()).length;
      await migrate(driver.client, table);
      assertEquals((await relations()).length, before + 7);
      await admin.unsafe(schemaSql(table));
      assertEquals((await relations()).length, before + 7);
      await tour(driver.client, table, { ways: WAYS.slice(0, 3) });
    });
  }
  await admin.unsafe("select from victim, plain_victim");
});

Deno.test("long names that begin alike share nothing", async () => {
  await using database = await createDatabase();
  await using driver = await openNodePostgres(database.url, { max: 2 });
  const [one, other] = [`${"x".repeat(62)}a`, `${"x".repeat(62)}b`];
  await migrate(driver.client, one);
  await migrate(driver.client, other);
  await using first = new PostgresCircuitBreakerStore(driver.client, one);
  await using second = new PostgresCircuitBreakerStore(driver.client, other);
  await first.transition("api", "open");
  assertEquals((await second.getState("api")).state, "closed");
  assertEquals((await first.history({ key: "api" })).length, 1);
  assertEquals(await second.history({ key: "api" }), []);
});
