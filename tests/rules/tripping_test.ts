import { assertEquals } from "@std/assert";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";
import { countResults, NOTHING_COUNTED } from "../../src/rules/counting.ts";
import {
  areSharesDue,
  areSharesDueSql,
  isPremature,
  isPrematureSql,
  isRateDue,
  isRateDueAfter,
  isRateDueAfterSql,
  isRateDueSql,
  isStraggler,
  isStragglerSql,
  isThresholdDue,
  isThresholdDueSql,
  isTripDue,
  isTripDueSql,
} from "../../src/rules/tripping.ts";
import { rulesOf } from "../support/rules.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, rateRules } from "./generated_circuits.ts";

testBothForms("tripping", async (bothForms) => {
  await bothForms({ isTripDue, isTripDueSql }, anyRules, (rules) => ({
    sql: isTripDueSql("c", "call.now", rules),
    typescript: (circuit, { now }) => isTripDue(circuit, now, rules),
  }));

  await bothForms({ isThresholdDue, isThresholdDueSql }, anyRules, (rules) => ({
    sql: isThresholdDueSql("c", "call.now", rules),
    typescript: (circuit, { now }) => isThresholdDue(circuit, now, rules),
  }));

  await bothForms({ isRateDue, isRateDueSql }, rateRules, (rules) => ({
    sql: isRateDueSql("c", "call.now", rules),
    typescript: (circuit, { now }) => isRateDue(circuit, now, rules),
  }));

  await bothForms({ areSharesDue, areSharesDueSql }, rateRules, ({ rates }) => ({
    sql: areSharesDueSql("c.call_segments", "call.slow * 3", rates),
    typescript: ({ callSegments }, { slow }) =>
      callSegments !== undefined && areSharesDue(callSegments, slow * 3, rates),
  }));

  const results = ["(call.slow + 7)", "call.slow", "call.slow"];
  await bothForms({ isRateDueAfter, isRateDueAfterSql }, rateRules, ({ rates }) => ({
    sql: `c.call_segments is not null and ${isRateDueAfterSql("c.call_segments", results, rates)}`,
    typescript: ({ callSegments }, { slow }) =>
      callSegments !== undefined && isRateDueAfter(callSegments, [slow + 7, slow, slow], rates),
  }));

  await bothForms({ isPremature, isPrematureSql }, anyRules, (rules) => ({
    sql: isPrematureSql("c", "call.to", "call.now", rules),
    typescript: (circuit, { to, now }) => isPremature(circuit, to, now, rules),
  }));

  await bothForms({ isStraggler, isStragglerSql }, anyRules, (rules) => ({
    sql: isStragglerSql("c", "call.to", rules),
    typescript: ({ state }, { to }) => isStraggler(state, to, rules),
  }));
});

Deno.test("isRateDue compares shares exactly: each share of a hundred calls, to the call", () => {
  for (let percent = 1; percent <= 100; percent++) {
    const rules = rulesOf({ failureRateThreshold: percent / 100, minimumThroughput: 100 });
    const isDue = (failures: number) =>
      isRateDue(
        countResults(NOTHING_COUNTED, { failures, successes: 100 - failures }, 1000, rules),
        1000,
        rules,
      );
    assertEquals([isDue(percent - 1), isDue(percent)], [false, true], `${percent} percent`);
  }
});

Deno.test("with a quorum no circuit is due to open by its own counts, in either form", () => {
  const circuit = { ...ABSENT_CIRCUIT, ...NOTHING_COUNTED, key: "a", failureCount: 9 };
  for (const [quorum, isDue] of [[undefined, true], [2, false]] as const) {
    const rules = rulesOf({ trip: "store", failureThreshold: 5, quorum });
    assertEquals(isTripDue(circuit, 1000, rules), isDue);
    assertEquals(isTripDueSql("c", "now", rules) !== "false", isDue);
  }
});
