import { assertEquals } from "@std/assert";
import {
  isRoundDue,
  isRoundDueSql,
  isRoundFull,
  isRoundFullSql,
  keptSuccesses,
  keptSuccessesSql,
  leaseAfterMove,
  leaseAfterMoveSql,
  refusedSince,
  vacantProbes,
  vacantProbesSql,
} from "../../src/rules/probing.ts";
import { probingOf } from "../support/rules.ts";
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

Deno.test("refusedSince refuses for a second at least, or for half of a short reset timeout", () => {
  for (
    const [retryAt, resetTimeoutMs, forMs] of [
      [50_000, 10_000, 1000],
      [50_999, 10_000, 1000],
      [51_000.5, 10_000, 1001],
      [57_000, 10_000, 7000],
      [50_000, 100, 50],
      [50_080, 100, 80],
    ] as const
  ) {
    const since = refusedSince(retryAt, 50_000, probingOf({ resetTimeoutMs }));
    assertEquals(since + resetTimeoutMs - 50_000, forMs);
  }
});
