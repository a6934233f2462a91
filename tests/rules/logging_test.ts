import {
  isUnlogged,
  isUnloggedSql,
  unloggedCause,
  unloggedCauseSql,
} from "../../src/rules/logging.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

testBothForms("logging", async (bothForms) => {
  await bothForms({ isUnlogged, isUnloggedSql }, anyRules, () => ({
    sql: isUnloggedSql("c", "c.logged_state", "call.now"),
    typescript: (circuit, { now }) => isUnlogged(circuit, circuit.loggedState, now),
  }));

  await bothForms({ unloggedCause, unloggedCauseSql }, anyRules, () => ({
    sql: unloggedCauseSql("c", "c.logged_state", "call.now"),
    typescript: (circuit, { now }) => unloggedCause(circuit, circuit.loggedState, now),
  }));
});
