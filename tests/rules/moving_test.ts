import {
  isCurrentRound,
  isCurrentRoundSql,
  isZeroed,
  isZeroedSql,
  judgeMove,
  judgeMoveSql,
  moveCause,
  moveCauseSql,
  openedAtAfter,
  openedAtAfterSql,
} from "../../src/rules/moving.ts";
import { storedStateSql } from "../../src/rules/state.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

testBothForms("moving", async (bothForms) => {
  await bothForms({ isZeroed, isZeroedSql }, anyRules, () => ({
    sql: {
      failures: isZeroedSql("failures", "call.to"),
      successes: isZeroedSql("successes", "call.to"),
    },
    typescript: (_, { to }) => ({
      failures: isZeroed("failures", to),
      successes: isZeroed("successes", to),
    }),
  }));

  await bothForms({ judgeMove, judgeMoveSql }, anyRules, (rules) => ({
    sql: { ...judgeMoveSql("c", "call.to", "call.now", rules) },
    typescript: (circuit, { to, now }) => judgeMove(circuit, to, now, rules),
  }));

  await bothForms({ moveCause, moveCauseSql }, anyRules, () => ({
    sql: moveCauseSql(storedStateSql("c"), "call.to"),
    typescript: ({ state }, { to }) => moveCause(state, to),
  }));

  await bothForms({ openedAtAfter, openedAtAfterSql }, anyRules, () => ({
    sql: openedAtAfterSql("c", "call.to", "call.now"),
    readSql: Number,
    typescript: (circuit, { to, now }) => openedAtAfter(circuit, to, now),
  }));

  await bothForms({ isCurrentRound, isCurrentRoundSql }, anyRules, () => ({
    sql: isCurrentRoundSql("c", "call.version", "call.since"),
    typescript: (circuit, { version, since }) =>
      isCurrentRound(circuit, { version, lastStateChange: since }),
  }));
});
