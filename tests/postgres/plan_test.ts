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

/** A statement, and the values of its parameters. */
interface Planned {
  readonly text: string;
  readonly values: string;
}

/**
 * Checks the plans of statements that are kept whatever becomes of the tables: from when nothing was known
 * of these, and from when they held little.
 */
async function checkKeptPlans(
  statementsOf: (context: StatementContext) => Readonly<Record<string, Planned>>,
  check: (lines: string, shown: string) => void,
): Promise<void> {
  await using open = await openTable();
  const { sql } = open;
  const table = parseTableName("test", "stoma_circuit_breakers");
  const statements = statementsOf(new StatementContext(table, RULES, false, "default"));
  const reserved = await sql.reserve();
  await reserved`set plan_cache_mode = force_generic_plan`;
  for (const moment of ["never analyzed", "analyzed while they held little"]) {
    if (moment !== "never analyzed") {
      await reserved`insert into stoma_circuit_breakers (key)
        select 'circuit-' || i from generate_series(1, 25) as i`;
      await reserved`insert into stoma_circuit_breakers_changes
          (version, key, at, from_state, to_state, cause)
        select i, 'circuit-' || i, 1, 'closed', 'open', 'trip' from generate_series(1, 25) as i`;
      await reserved`analyze stoma_circuit_breakers, stoma_circuit_breakers_changes`;
    }
    for (const [name, { text, values }] of Object.entries(statements)) {
      await reserved.unsafe(`prepare kept as ${text}`);
      const plan = await reserved.unsafe(`explain execute kept (${values})`);
      await reserved`deallocate kept`;
      const lines = plan.map((row) => row["QUERY PLAN"]).join("\n");
      check(lines, `${name}, ${moment}: ${lines}`);
    }
  }
  reserved.release();
}

Deno.test("a flush finds its rows by the index, then by their places, whatever the table was", async () => {
  await checkKeptPlans(
    (context) => ({
      flush: {
        text: flushStatement(context).text,
        values: "'me', '1', '{a}', '{1}', '{0}', '{0}'",
      },
    }),
    (lines, shown) => {
      assertMatch(lines, /Index Scan (using|on) stoma_circuit_breakers_pkey/, shown);
      assertMatch(lines, /Tid Scan on stoma_circuit_breakers/, shown);
      assertEquals(/Seq Scan on stoma_circuit_breakers( |$)/m.test(lines), false, shown);
    },
  );
});

Deno.test("what removes rows compares none with each other one, whatever the table was", async () => {
  await checkKeptPlans(
    (context) => ({
      "prune, where elected": { text: pruneStatement(context, true).text, values: "1, 2" },
      prune: { text: pruneStatement(context, false).text, values: "1, 2" },
      trim: { text: trimStatement(context).text, values: "1" },
      "prune the log": { text: pruneLogStatement(context).text, values: "1, 2" },
    }),
    (lines, shown) => {
      const writes = lines.split(/(?=^ *CTE \w+$)/m).filter((part) =>
        /(Delete|Update) on/.test(part)
      );
      for (const write of writes.filter((part) => !part.includes("_instances"))) {
        // By its place, or by a hash of the places: not each row with each place.
        assertMatch(write, /(TID|Hash|Merge) Cond: .*ctid/, shown);
        assertEquals(/(Join Filter|Filter): .*ctid|ctid = ANY/.test(write), false, shown);
      }
      assertEquals(writes.length > 0, true);
    },
  );
});
