import { assertEquals } from "@std/assert";
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

Deno.test("a suspicion decides after two bounds, or half of the window where that is sooner", () => {
  const rates = {
    ...{ failureRate: 0.5, slowRate: undefined },
    ...{ windowMs: 10_001, minimumThroughput: 1 },
  };
  const judge = (age: number, boundMs: number) =>
    judgeSuspicion(1_000_000, 1_000_000 + age, boundMs, rates);
  assertEquals([judge(1999, 1000), judge(2000, 1000)], ["wait", "trip"]);
  assertEquals([judge(4999, 60_000), judge(5000, 60_000)], ["wait", "trip"]);
  assertEquals([judge(10_001, 60_000), judge(10_002, 60_000)], ["trip", "suspect"]);
  assertEquals(judge(0, 0), "trip");
});
