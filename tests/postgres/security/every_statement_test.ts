/**
 * Every statement that the library can send, under every rule, is planned beside functions and
 * operators of an attacker's that have the very types of its calls. The server then names what it would
 * run, also in branches that no test reaches.
 */

import { assert, assertEquals } from "@std/assert";
import { migrate, type PostgresCircuitBreakerStoreOptions } from "../../../mod.ts";
import type { CircuitRules } from "../../../src/options/store_options.ts";
import { parseTableName } from "../../../src/postgres/identifier.ts";
import { StatementContext } from "../../../src/postgres/statements/context.ts";
import { SERVER_FACTS_STATEMENT } from "../../../src/postgres/statements/examine.ts";
import { READINESS_STATEMENT } from "../../../src/postgres/statements/readiness.ts";
import { openNodePostgres } from "../../support/clients.ts";
import { connect } from "../../support/database.ts";
import { rulesOf } from "../../support/rules.ts";
import { createArena } from "./arena.ts";
import { Attacker } from "./attacker.ts";

const TABLE = "circuits";

/** Who opens circuits, and by which rules. */
const RULES: readonly PostgresCircuitBreakerStoreOptions[] = [
  { trip: "caller" },
  { trip: "store" },
  { trip: "store", failureThreshold: 101 },
  { failureRateThreshold: 0.5, slowCallRateThreshold: 0.5, slowCallDurationMs: 100 },
];

const PROBING = {
  resetTimeoutMs: 100,
  halfOpenMax: 2,
  probeTimeoutMs: 1000,
  successThreshold: 2,
  resetBackoff: { jitter: 0.5 },
};

Deno.test("no statement refers to a function or operator of a neighbour's", async () => {
  await using arena = await createArena();
  await using attacker = new Attacker(arena);
  {
    await using driver = await openNodePostgres(arena.gateway.url, { max: 1 });
    await migrate(driver.client, TABLE);
  }
  await using sql = connect(arena.gateway.url);
  await sql.unsafe("set plan_cache_mode = force_generic_plan");
  const client = attacker.ambush({
    async query(text) {
      const params = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => +number!));
      const values = params === 0 ? "" : `(${Array(params).fill("null").join()})`;
      await sql.unsafe("deallocate all");
      await sql.unsafe(`prepare statement as ${text}`);
      await sql.unsafe(`explain execute statement${values}`);
      return { rows: [] };
    },
  });
  const texts = await everyText();
  assert(texts.size > 100);
  for (const text of texts) {
    await client.query(text).catch((error) => {
      // What an attack has bent into another form is among the captures.
      if (attacker.captures.length === 0) throw error;
    });
  }
  assertEquals(attacker.findings(), []);
});

/** The texts of all functions of `src/postgres/statements` whose names say that they make one. */
async function everyText(): Promise<Set<string>> {
  const texts = new Set([READINESS_STATEMENT, SERVER_FACTS_STATEMENT]);
  const folder = new URL("../../../src/postgres/statements/", import.meta.url);
  for await (const { name } of Deno.readDir(folder)) {
    const exported: Record<string, unknown> = await import(new URL(name, folder).href);
    for (const [name, make] of Object.entries(exported)) {
      if (!name.endsWith("Statement") || typeof make !== "function") continue;
      for (const context of contexts()) {
        for (const args of argumentsOf(name, context.rules)) {
          const made = make(OF_TABLE.includes(name) ? context.table : context, ...args);
          texts.add(typeof made === "string" ? made : made.text);
        }
      }
    }
  }
  return texts;
}

/** The functions that take the table's name alone. */
const OF_TABLE = [
  "checkStatement",
  "contentStatement",
  "endlessForcesStatement",
  "instanceFactsStatement",
  "partFactsStatement",
  "rowCountStatement",
];

function contexts(): StatementContext[] {
  const table = parseTableName("test", TABLE);
  const either = [true, false];
  return either.flatMap((isProbing) =>
    either.flatMap((hasWindow) =>
      either.flatMap((isCallersClock) =>
        RULES.flatMap((own) =>
          (["default", "relaxed"] as const).map((durability) => {
            const rules = rulesOf({
              ...isProbing && PROBING,
              failureThreshold: 3,
              failureWindowMs: hasWindow ? 60_000 : undefined,
              ...own,
            });
            return new StatementContext(table, rules, isCallersClock, durability);
          })
        )
      )
    )
  );
}

/** What a function takes beside the context: every combination that makes another text. */
function argumentsOf(name: string, { probing, trip }: CircuitRules): unknown[][] {
  const either = [true, false];
  switch (name) {
    case "addCallsStatement":
      return trip.rates === undefined ? [] : either.map((flag) => [trip.rates, flag]);
    case "claimStatement":
      return probing === undefined ? [] : [[probing]];
    case "settleStatement":
      return probing === undefined ? [] : [[probing]];
    case "voteStatement":
      return [[2]];
    case "tailStatement":
      return [[100]];
    case "listStatement":
    case "pruneStatement":
      return either.map((flag) => [flag]);
    case "logStatement":
      return either.flatMap((after) =>
        either.flatMap((until) =>
          either.flatMap((key) =>
            either.map((since) => [{ after, until, key, since, hasRounds: key }])
          )
        )
      );
    default:
      return [[]];
  }
}
