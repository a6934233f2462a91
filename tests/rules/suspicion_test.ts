import { judgeSuspicion, judgeSuspicionSql } from "../../src/rules/suspicion.ts";
import { testBothForms } from "./both_forms.ts";
import { rateRules } from "./generated_circuits.ts";

testBothForms("suspicion", async (bothForms) => {
  await bothForms({ judgeSuspicion, judgeSuspicionSql }, rateRules, ({ rates }) => ({
    sql: judgeSuspicionSql("c.suspect_at", "call.now", "(call.added * 100)", rates),
    typescript: ({ details }, { now, added }) =>
      judgeSuspicion(details.suspectAt, now, added * 100, rates),
  }));
});
