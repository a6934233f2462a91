import { isStraggler, isStragglerSql, isTripDue, isTripDueSql } from "../../src/rules/tripping.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

testBothForms("tripping", async (bothForms) => {
  await bothForms({ isTripDue, isTripDueSql }, anyRules, (rules) => ({
    sql: isTripDueSql("c", "call.now", rules),
    typescript: (circuit, { now }) => isTripDue(circuit, now, rules),
  }));

  await bothForms({ isStraggler, isStragglerSql }, anyRules, (rules) => ({
    sql: isStragglerSql("c", "call.to", rules),
    typescript: ({ state }, { to }) => isStraggler(state, to, rules),
  }));
});
