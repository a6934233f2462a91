/** Checks that each rule's SQL form has a TypeScript form and a comparison, and that comparing works. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { isRoundDue, isRoundDueSql } from "../../src/rules/probing.ts";
import { LEAST_CIRCUITS, openComparer } from "./both_forms.ts";
import { probingRules } from "./generated_circuits.ts";
import { probingOf } from "../support/rules.ts";

const RULES = new URL("../../src/rules/", import.meta.url);

/** TypeScript forms of another name: they return more, serve two SQL forms, or go the other way. */
const OTHER_NAMES: Record<string, string> = {
  firstResultsSql: "countResults",
  firstSegmentsSql: "addToSegments",
  isForcedSql: "forcedAt",
  stateCodeSql: "stateOfCode",
  storedStateSql: "stateOfCode",
};

/** The calls of `bothForms`, of which the first argument is `{ form, formSql }`. */
const COMPARISON = /\bbothForms\(\s*\{\s*(\w+),\s*(\w+),?\s*\}/g;

async function* textsIn(folder: URL): AsyncGenerator<[name: string, text: string]> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".ts")) yield [name, await Deno.readTextFile(new URL(name, folder))];
  }
}

/** The functions that each module of `src/rules/` exports. */
async function exportedFunctions(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for await (const [name] of textsIn(RULES)) {
    const module: Record<string, unknown> = await import(new URL(name, RULES).href);
    found.set(name, Object.keys(module).filter((each) => typeof module[each] === "function"));
  }
  return found;
}

/** The pairs that the tests beside this one compare, as "form formSql". */
async function comparedPairs(): Promise<string[]> {
  const found: string[] = [];
  for await (const [name, text] of textsIn(new URL("./", import.meta.url))) {
    if (!name.endsWith("_test.ts")) continue;
    for (const [, form, sql] of text.matchAll(COMPARISON)) found.push(`${form} ${sql}`);
  }
  return found.toSorted();
}

Deno.test("each SQL form of a rule has a TypeScript form in its module, and a test compares them", async () => {
  const pairs: string[] = [];
  for (const [module, functions] of await exportedFunctions()) {
    for (const sql of functions.filter((name) => name.endsWith("Sql"))) {
      const form = OTHER_NAMES[sql] ?? sql.slice(0, -"Sql".length);
      assert(functions.includes(form), `${module} exports ${sql} without ${form}`);
      pairs.push(`${form} ${sql}`);
    }
  }
  assert(pairs.length > 0, "src/rules/ has no SQL form");
  assertEquals(await comparedPairs(), pairs.toSorted());
});

Deno.test("no other name is kept for a form that is gone", async () => {
  const functions = [...(await exportedFunctions()).values()].flat();
  assertEquals(Object.keys(OTHER_NAMES).filter((sql) => !functions.includes(sql)), []);
});

/** The least number of circuits misses such a boundary now and then. It stops at the first difference. */
const ENOUGH_TO_FIND_IT = 20 * LEAST_CIRCUITS;

Deno.test("openComparer compares enough circuits, and finds a boundary that is off by one", async () => {
  await using comparer = await openComparer();
  const compare = (mutate: (sql: string) => string, least?: number) =>
    comparer.compare(
      { isRoundDue, isRoundDueSql },
      probingRules,
      ({ probing }) => ({
        sql: mutate(isRoundDueSql("c", "call.now", probing)),
        typescript: (circuit, { now }) => isRoundDue(circuit, now, probing),
      }),
      least,
    );
  assert(await compare((sql) => sql) >= LEAST_CIRCUITS);
  const boundaries = isRoundDueSql("c", "now", { ...SOME_PROBING }).split(">=").length - 1;
  for (let place = 0; place < boundaries; place++) {
    const error = await assertRejects(() =>
      compare((sql) => {
        let seen = 0;
        return sql.replaceAll(">=", (found) => seen++ === place ? ">" : found);
      }, ENOUGH_TO_FIND_IT)
    );
    const { message, cause } = error as Error;
    assert(/seed: -?\d+/.test(message), message);
    assert(`${cause}`.includes("SQL and TypeScript differ: isRoundDue and isRoundDueSql"));
  }
});

const SOME_PROBING = probingOf({ resetTimeoutMs: 1000, probeTimeoutMs: 1000 });
