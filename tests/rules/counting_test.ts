import {
  addCount,
  addCountSql,
  countFailures,
  countFailuresSql,
  firstFailuresSql,
  isStillCounted,
  isStillCountedSql,
  rememberFailures,
  rememberFailuresSql,
} from "../../src/rules/counting.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, readCount, windowRules } from "./generated_circuits.ts";

testBothForms("counting", async (bothForms) => {
  await bothForms({ addCount, addCountSql }, anyRules, () => ({
    sql: {
      failures: addCountSql("c.failure_count", "call.added"),
      successes: addCountSql("c.success_count", "call.added"),
    },
    typescript: ({ failureCount, successCount }, { added }) => ({
      failures: addCount(failureCount, added),
      successes: addCount(successCount, added),
    }),
  }));

  await bothForms({ countFailures, countFailuresSql }, anyRules, (rules) => ({
    sql: countFailuresSql("c", "call.now", rules),
    readSql: readCount,
    typescript: (circuit, { now }) => countFailures(circuit, now, rules),
  }));

  await bothForms({ rememberFailures, rememberFailuresSql }, anyRules, (rules) => ({
    sql: rememberFailuresSql("c", "call.added", "call.now", rules),
    typescript: ({ recentFailures }, { added, now }) =>
      rememberFailures(recentFailures, added, now, rules),
  }));

  await bothForms({ rememberFailures, firstFailuresSql }, windowRules, (rules) => ({
    sql: firstFailuresSql("call.added", "call.now", rules),
    typescript: (_, { added, now }) => rememberFailures([], added, now, rules),
  }));

  await bothForms({ isStillCounted, isStillCountedSql }, anyRules, () => ({
    sql: isStillCountedSql("call.version", "c"),
    typescript: (circuit, { version }) => isStillCounted(version, circuit),
  }));
});
