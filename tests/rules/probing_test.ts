import {
  isRoundDue,
  isRoundDueSql,
  leaseAfterMove,
  leaseAfterMoveSql,
  vacantProbes,
  vacantProbesSql,
} from "../../src/rules/probing.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, probingRules } from "./generated_circuits.ts";

testBothForms("probing", async (bothForms) => {
  await bothForms({ isRoundDue, isRoundDueSql }, probingRules, ({ probing }) => ({
    sql: isRoundDueSql("c", "call.now", probing),
    typescript: (circuit, { now }) => isRoundDue(circuit, now, probing),
  }));

  await bothForms({ vacantProbes, vacantProbesSql }, probingRules, ({ probing }) => ({
    sql: vacantProbesSql("c", isRoundDueSql("c", "call.now", probing), probing),
    typescript: (circuit, { now }) => vacantProbes(circuit, now, probing),
  }));

  await bothForms({ leaseAfterMove, leaseAfterMoveSql }, anyRules, ({ probing }) => ({
    sql: { ...leaseAfterMoveSql("call.to", "call.now", probing) },
    typescript: (_, { to, now }) => leaseAfterMove(to, now, probing),
  }));
});
