import { assertEquals } from "@std/assert";
import {
  addCount,
  addCountSql,
  areLastInWindow,
  areLastInWindowSql,
  type Counted,
  countFailures,
  countFailuresSql,
  countResults,
  countResultsSql,
  firstResultsSql,
  isStillCounted,
  isStillCountedSql,
  NOTHING_COUNTED,
  zeroFailures,
  zeroFailuresSql,
} from "../../src/rules/counting.ts";
import { rulesOf } from "../support/rules.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, readCount, windowRules } from "./generated_circuits.ts";

const ADDED = { failures: "call.added", successes: "call.slow", slow: "call.slow" };

/** Which column holds what a circuit counts. */
const COLUMNS: Readonly<Record<string, keyof Counted>> = {
  failure_count: "failureCount",
  recent_failures: "recentFailures",
  failure_capacity: "failureCapacity",
  failure_segments: "failureSegments",
  call_segments: "callSegments",
};

/** What a circuit counts, as the columns that SQL names. */
function columnsOf(counted: Partial<Counted>, named: Record<string, string>): unknown {
  const columns = Object.keys(named).map((name) => [name, counted[COLUMNS[name]!] ?? null]);
  return Object.fromEntries(columns);
}

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

  await bothForms({ areLastInWindow, areLastInWindowSql }, windowRules, (rules) => {
    const { failureThreshold = 1, failureWindowMs } = rules;
    const failures = Math.min(failureThreshold, 100);
    return {
      sql: areLastInWindowSql("c", failures, "call.now", failureWindowMs),
      typescript: (circuit, { now }) => areLastInWindow(circuit, failures, now, failureWindowMs),
    };
  });

  await bothForms({ countResults, countResultsSql }, anyRules, (rules) => {
    const sql = countResultsSql("c", ADDED, "call.now", rules);
    return {
      sql,
      typescript: (circuit, { added, slow, now }) =>
        columnsOf(
          countResults(circuit, { failures: added, successes: slow, slow }, now, rules),
          sql,
        ),
    };
  });

  await bothForms({ countResults, firstResultsSql }, anyRules, (rules) => {
    const sql = firstResultsSql(ADDED, "call.now", rules);
    return {
      sql,
      typescript: (_, { added, slow, now }) => {
        const results = { failures: added, successes: slow, slow };
        return columnsOf(countResults(NOTHING_COUNTED, results, now, rules), sql);
      },
    };
  });

  await bothForms({ zeroFailures, zeroFailuresSql }, anyRules, () => {
    const sql = zeroFailuresSql("c");
    return {
      sql: { ...sql, recent_failures: `${sql.recent_failures}::bigint[]` },
      typescript: (circuit) => columnsOf(zeroFailures(circuit), sql),
    };
  });

  await bothForms({ isStillCounted, isStillCountedSql }, anyRules, () => ({
    sql: isStillCountedSql("call.version", "c"),
    typescript: (circuit, { version }) => isStillCounted(version, circuit),
  }));
});

Deno.test("countResultsSql and firstResultsSql name each column that the rules count in", () => {
  const rates = { failureRateThreshold: 0.5, windowMs: 10_000, minimumThroughput: 2 };
  const always = ["failure_count", "failure_segments", "recent_failures"];
  for (
    const [options, named, first] of [
      [{}, always, ["failure_count"]],
      [rates, [...always, "call_segments"], ["failure_count", "call_segments"]],
      [{ failureThreshold: 3, failureWindowMs: 1000 }, [...always, "failure_capacity"], [
        ...always,
        "failure_capacity",
      ]],
    ] as const
  ) {
    const sql = countResultsSql("c", ADDED, "now", rulesOf(options));
    assertEquals(Object.keys(sql).toSorted(), named.toSorted());
    const firstSql = firstResultsSql(ADDED, "now", rulesOf(options));
    assertEquals(Object.keys(firstSql).toSorted(), first.toSorted());
  }
});
