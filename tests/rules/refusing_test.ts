import {
  isOfOutage,
  isOfOutageSql,
  refusedAfter,
  refusedAfterSql,
} from "../../src/rules/refusing.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, readCount } from "./generated_circuits.ts";

testBothForms("refusing", async (bothForms) => {
  await bothForms({ refusedAfter, refusedAfterSql }, anyRules, () => ({
    sql: refusedAfterSql("c", "c.logged_state", "call.to"),
    readSql: readCount,
    typescript: (circuit, { to }) => refusedAfter(circuit, circuit.loggedState, to),
  }));

  await bothForms({ isOfOutage, isOfOutageSql }, anyRules, () => ({
    sql: isOfOutageSql("c", "call.since"),
    typescript: (circuit, { since }) => isOfOutage(circuit, since),
  }));
});
