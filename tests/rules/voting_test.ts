import { assertEquals } from "@std/assert";
import type { Vote } from "../../src/circuit.ts";
import { NOTHING_COUNTED } from "../../src/rules/counting.ts";
import { isTripDue } from "../../src/rules/tripping.ts";
import {
  fleetRulesOf,
  hasStandingVotes,
  hasStandingVotesSql,
  hasVoted,
  hasVotedSql,
  mayVote,
  mayVoteSql,
  mutedAfterClose,
  mutedAfterCloseSql,
  mutedWithout,
  mutedWithoutSql,
  ownRulesOf,
  standingLabels,
  standingLabelsSql,
  standingVotes,
  votesAfter,
  votesAfterSql,
  votesWithout,
  votesWithoutSql,
} from "../../src/rules/voting.ts";
import { rulesOf } from "../support/rules.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules } from "./generated_circuits.ts";

/** Votes as two arrays. */
function arraysOf(votes: readonly Vote[]): { labels: string[]; seen: number[] } {
  return { labels: votes.map(({ label }) => label), seen: votes.map(({ seenAt }) => seenAt) };
}

/** SQL has null where nothing is left. */
function emptied(value: { labels: string[] | null; seen: number[] | null }) {
  return { labels: value.labels ?? [], seen: value.seen ?? [] };
}

testBothForms("voting", async (bothForms) => {
  await bothForms({ hasStandingVotes, hasStandingVotesSql }, anyRules, () => ({
    sql: hasStandingVotesSql("c", "call.now"),
    typescript: (circuit, { now }) => hasStandingVotes(circuit, now),
  }));

  await bothForms({ standingLabels, standingLabelsSql }, anyRules, () => ({
    sql: standingLabelsSql("c", "call.now"),
    typescript: ({ votes }, { now }) => standingLabels(votes, now),
  }));

  await bothForms({ hasVoted, hasVotedSql }, anyRules, () => ({
    sql: hasVotedSql("c", "call.label", "call.now"),
    typescript: (circuit, { label, now }) => hasVoted(circuit, label, now),
  }));

  await bothForms({ mayVote, mayVoteSql }, anyRules, () => ({
    sql: mayVoteSql("c", "call.label"),
    typescript: (circuit, { label }) => mayVote(circuit, label),
  }));

  await bothForms({ votesAfter, votesAfterSql }, anyRules, () => ({
    sql: { ...votesAfterSql("c", "call.label", "call.now") },
    typescript: (circuit, { label, now }) => arraysOf(votesAfter(circuit, label, now)),
  }));

  await bothForms({ votesWithout, votesWithoutSql }, anyRules, () => ({
    sql: { ...votesWithoutSql("c", "call.label", "call.now") },
    readSql: emptied,
    typescript: (circuit, { label, now }) => arraysOf(votesWithout(circuit, label, now)),
  }));

  await bothForms({ mutedWithout, mutedWithoutSql }, anyRules, () => ({
    sql: mutedWithoutSql("c", "call.label"),
    readSql: (value: string[] | null) => value ?? [],
    typescript: (circuit, { label }) => mutedWithout(circuit, label),
  }));

  await bothForms({ mutedAfterClose, mutedAfterCloseSql }, anyRules, () => ({
    sql: mutedAfterCloseSql("c", "call.label"),
    readSql: (value: string[] | null) => value ?? [],
    typescript: (circuit, { label }) => mutedAfterClose(circuit, label),
  }));
});

Deno.test("standingVotes leaves out votes that were not seen for 30 seconds, before or after", () => {
  const votes = [-30_000, -29_999, 29_999, 30_000].map((seenAt) => ({
    label: `${seenAt}`,
    seenAt,
  }));
  assertEquals(standingVotes(votes, 0).map(({ seenAt }) => seenAt), [-29_999, 29_999]);
});

Deno.test("ownRulesOf lets an instance judge alone, a rate by its share of the throughput", () => {
  const rules = (minimumThroughput: number, quorum: number) =>
    ownRulesOf(rulesOf({ quorum, failureRateThreshold: 0.5, minimumThroughput }));
  assertEquals(rules(20, 3).trip.rates!.minimumThroughput, 7);
  assertEquals(rules(20, 16).trip.rates!.minimumThroughput, 3);
  const counted = ownRulesOf(rulesOf({ quorum: 2, failureThreshold: 5 }));
  assertEquals([counted.quorum, counted.trip], [undefined, { isByStore: true, rates: undefined }]);
});

Deno.test("fleetRulesOf lets no record and no late result open a circuit, with a quorum", () => {
  const circuit = { ...NOTHING_COUNTED, state: "closed", failureCount: 5 } as const;
  const isDue = (quorum: number | undefined) => {
    const rules = rulesOf({ quorum, failureThreshold: 5, failureRateThreshold: 0.5 });
    const { trip } = fleetRulesOf(rules);
    return [isTripDue(circuit, 0, fleetRulesOf(rules)), trip.isByStore, trip.rates !== undefined];
  };
  assertEquals([isDue(undefined), isDue(2)], [[true, true, true], [false, false, false]]);
});
