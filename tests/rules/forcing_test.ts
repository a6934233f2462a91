import {
  effectiveState,
  effectiveStateSql,
  forcedAt,
  hasForce,
  hasForceSql,
  isForcedSql,
} from "../../src/rules/forcing.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

testBothForms("forcing", async (bothForms) => {
  await bothForms({ forcedAt, isForcedSql }, anyRules, () => ({
    sql: isForcedSql("c", "call.now"),
    typescript: ({ forced }, { now }) => forcedAt(forced, now) !== undefined,
  }));

  await bothForms({ hasForce, hasForceSql }, anyRules, () => ({
    sql: hasForceSql("c"),
    typescript: (circuit) => hasForce(circuit),
  }));

  await bothForms({ effectiveState, effectiveStateSql }, anyRules, () => ({
    sql: effectiveStateSql("c", "call.now"),
    typescript: (circuit, { now }) => effectiveState(circuit, now),
  }));
});
