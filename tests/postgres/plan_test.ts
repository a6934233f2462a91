import { assertEquals, assertMatch } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { StatementContext } from "../../src/postgres/statements/context.ts";
import { flushStatement } from "../../src/postgres/statements/flush.ts";
import {
  pruneLogStatement,
  pruneStatement,
  trimStatement,
} from "../../src/postgres/statements/prune.ts";
import type { PostgresClient } from "../../src/types.ts";
import { openTable, RULES } from "../support/circuit_table.ts";
import { connect, createDatabase } from "../support/database.ts";

Deno.test("statements for many circuits keep the index, whatever the table was when they were planned", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url);
  const real = fromPostgresJs(sql);
  await migrate(real);
  const texts = new Set<string>();
  const client: PostgresClient = {
    query(text, params) {
      // One for a single key, or for the instance, may be sent beside them.
      if (text.includes("$1::text::text[]")) texts.add(text);
      return real.query(text, params);
    },
  };
  const rules = { resetTimeoutMs: 1 };
  const store = new PostgresCircuitBreakerStore(client, undefined, rules);
  const keys = Array.from({ length: 25 }, (_, index) => `circuit-${index}`);
  await Promise.all(keys.map((key) => store.transition(key, "open")));
  await new Promise((resolve) => setTimeout(resolve, 5));
  texts.clear();
  await Promise.all(keys.map((key) => store.getState(key)));
  assertEquals(texts.size, 2, "one text for reads, one for claims");

  const reserved = await sql.reserve();
  await reserved`set plan_cache_mode = force_generic_plan`;
  for (const [number, text] of [...texts].entries()) {
    for (const moment of ["never analyzed", "analyzed"]) {
      if (moment === "analyzed") await reserved`analyze stoma_circuit_breakers`;
      const isClaim = text.includes("$2");
      const types = isClaim ? "(text, text, text, text)" : "(text)";
      const values = isClaim ? "('{a}', '{1}', '{0}', 'actor')" : "('{a}')";
      await reserved.unsafe(`prepare planned_${number} ${types} as ${text}`);
      const plan = await reserved.unsafe(`explain execute planned_${number} ${values}`);
      await reserved.unsafe(`deallocate planned_${number}`);
      const lines = plan.map((row) => row["QUERY PLAN"]).join("\n");
      assertMatch(lines, /Index Scan (using|on) stoma_circuit_breakers_pkey/, moment);
      // What a claim found is joined to the table once more, only where something was granted.
      const held = lines.split("CTE written")[0]!;
      assertEquals(held.includes("Seq Scan on"), false, `${moment}: ${lines}`);
    }
  }
  reserved.release();
  await sql.end();
});

Deno.test("a flush finds its rows by the index, then by their places, whatever the table was", async () => {
  await using open = await openTable();
  const { sql } = open;
  const context = new StatementContext(
    parseTableName("test", "stoma_circuit_breakers"),
    RULES,
    false,
    "default",
  );
  const reserved = await sql.reserve();
  await reserved`set plan_cache_mode = force_generic_plan`;
  for (const moment of ["never analyzed", "analyzed while it held little"]) {
    if (moment !== "never analyzed") {
      await reserved`insert into stoma_circuit_breakers (key)
        select 'circuit-' || i from generate_series(1, 25) as i`;
      await reserved`analyze stoma_circuit_breakers`;
    }
    await reserved.unsafe(
      `prepare flush (text, text, text, text, text, text) as ${flushStatement(context).text}`,
    );
    const plan = await reserved.unsafe(
      "explain execute flush ('me', '1', '{a}', '{1}', '{0}', '{0}')",
    );
    await reserved`deallocate flush`;
    const lines = plan.map((row) => row["QUERY PLAN"]).join("\n");
    assertMatch(lines, /Index Scan (using|on) stoma_circuit_breakers_pkey/, `${moment}: ${lines}`);
    assertMatch(lines, /Tid Scan on stoma_circuit_breakers/, `${moment}: ${lines}`);
    assertEquals(/Seq Scan on stoma_circuit_breakers( |$)/m.test(lines), false, lines);
  }
  reserved.release();
});

Deno.test("what removes rows compares none with each other one, whatever the table was", async () => {
  await using open = await openTable();
  const { sql } = open;
  const context = new StatementContext(
    parseTableName("test", "stoma_circuit_breakers"),
    RULES,
    false,
    "default",
  );
  const reserved = await sql.reserve();
  await reserved`set plan_cache_mode = force_generic_plan`;
  for (const moment of ["never analyzed", "analyzed while it held little"]) {
    if (moment !== "never analyzed") {
      await reserved`insert into stoma_circuit_breakers (key)
        select 'circuit-' || i from generate_series(1, 25) as i`;
      await reserved`insert into stoma_circuit_breakers_changes
          (version, key, at, from_state, to_state, cause)
        select i, 'circuit-' || i, 1, 'closed', 'open', 'trip' from generate_series(1, 25) as i`;
      await reserved`analyze stoma_circuit_breakers, stoma_circuit_breakers_changes`;
    }
    for (
      const { action, text } of [
        pruneStatement(context, true),
        pruneStatement(context, false),
        trimStatement(context),
        pruneLogStatement(context),
      ]
    ) {
      const values = [..."12"].slice(0, text.includes("$2") ? 2 : 1).join();
      await reserved.unsafe(`prepare removal as ${text}`);
      const plan = await reserved.unsafe(`explain execute removal (${values})`);
      await reserved`deallocate removal`;
      const lines = plan.map((row) => row["QUERY PLAN"]).join("\n");
      const writes = lines.split(/(?=^ *CTE \w+$)/m).filter((part) =>
        /(Delete|Update) on/.test(part)
      );
      for (const write of writes.filter((part) => !part.includes("_instances"))) {
        // By its place, or by a hash of the places: not each row with each place.
        assertMatch(write, /(TID|Hash|Merge) Cond: .*ctid/, `${action}, ${moment}: ${lines}`);
        const isEach = /(Join Filter|Filter): .*ctid|ctid = ANY/.test(write);
        assertEquals(isEach, false, `${action}, ${moment}: ${lines}`);
      }
      assertEquals(writes.length > 0, true);
    }
  }
  reserved.release();
});
