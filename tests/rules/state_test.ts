import { assertEquals } from "@std/assert";
import { STATE_CODES, stateCodeSql, stateOfCode, storedStateSql } from "../../src/rules/state.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

testBothForms("state", async (bothForms) => {
  await bothForms({ stateOfCode, stateCodeSql }, anyRules, () => ({
    sql: stateCodeSql("c.state"),
    readSql: stateOfCode,
    typescript: ({ state }) => state,
  }));

  await bothForms({ stateOfCode, storedStateSql }, anyRules, () => ({
    sql: storedStateSql("c"),
    typescript: ({ state }) => stateOfCode(STATE_CODES.indexOf(state)),
  }));
});

Deno.test("stateOfCode() takes a state that this release does not know for closed", () => {
  assertEquals([0, 1, 2, 3, -1, 0.5, NaN].map(stateOfCode), [
    ...STATE_CODES,
    ...["closed", "closed", "closed", "closed"] as const,
  ]);
});
