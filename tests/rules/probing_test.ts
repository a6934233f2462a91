import {
  isRoundDue,
  isRoundDueSql,
  isRoundFull,
  isRoundFullSql,
  keptSuccesses,
  keptSuccessesSql,
  leaseAfterMove,
  leaseAfterMoveSql,
  vacantProbes,
  vacantProbesSql,
} from "../../src/rules/probing.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, probingRules } from "./generated_circuits.ts";

testBothForms("probing", async (bothForms) => {
  await bothForms({ isRoundDue, isRoundDueSql }, probingRules, ({ probing }) => ({
    sql: {
      atOnce: isRoundDueSql("c", "call.now", probing),
      later: isRoundDueSql("c", "call.now", probing, "call.patience"),
    },
    typescript: (circuit, { now, patience }) => ({
      atOnce: isRoundDue(circuit, now, probing),
      later: isRoundDue(circuit, now, probing, patience),
    }),
  }));

  await bothForms({ isRoundFull, isRoundFullSql }, probingRules, ({ probing }) => ({
    sql: isRoundFullSql("c", probing),
    typescript: (circuit) => isRoundFull(circuit, probing),
  }));

  await bothForms({ vacantProbes, vacantProbesSql }, probingRules, ({ probing }) => ({
    sql: {
      atOnce: vacantProbesSql("c", isRoundDueSql("c", "call.now", probing), probing),
      later: vacantProbesSql(
        "c",
        isRoundDueSql("c", "call.now", probing, "call.patience"),
        probing,
        "call.patience",
      ),
    },
    typescript: (circuit, { now, patience }) => ({
      atOnce: vacantProbes(circuit, now, probing),
      later: vacantProbes(circuit, now, probing, patience),
    }),
  }));

  await bothForms({ keptSuccesses, keptSuccessesSql }, probingRules, ({ probing }) => ({
    sql: keptSuccessesSql("c", probing),
    typescript: (circuit) => keptSuccesses(circuit, probing),
  }));

  await bothForms({ leaseAfterMove, leaseAfterMoveSql }, anyRules, ({ probing }) => ({
    sql: { ...leaseAfterMoveSql("call.to", "call.now", probing) },
    typescript: (_, { to, now }) => leaseAfterMove(to, now, probing),
  }));
});
