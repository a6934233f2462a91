import { settlement, settlementSql } from "../../src/rules/settling.ts";
import { testBothForms } from "./both_forms.ts";
import { probingRules } from "./generated_circuits.ts";

testBothForms("settling", async (bothForms) => {
  await bothForms({ settlement, settlementSql }, probingRules, ({ probing }) => ({
    sql: { ...settlementSql("c", "call.outcome", probing) },
    typescript: (circuit, { outcome }) => settlement(circuit, outcome, probing),
  }));
});
