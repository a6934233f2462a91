/**
 * Voting: with a quorum the fleet opens a circuit only when several instances find that it has to open.
 * An instance has one vote, by its label. A vote stands for a while after its instance was last seen.
 */

import type { Vote } from "../circuit.ts";
import { compareKeys } from "../key.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { storedStateSql } from "./state.ts";

/** The columns of this rule. */
export const VOTING_COLUMNS: readonly string[] = [
  "vote_labels text[]",
  "vote_seen bigint[]",
  "voters text[]",
  "muted text[]",
];

/** For how long a vote stands after its instance was last seen, in milliseconds. */
export const VOTE_STANDS_MS = 30_000;

/** How many votes a circuit keeps: as many as the largest quorum needs. */
const MAX_VOTES = 16;

/** How many muted labels a circuit keeps: those of its last openings. */
const MAX_MUTED = 32;

/** The least number of its own calls by which an instance judges a rate. */
const LEAST_THROUGHPUT = 3;

/** The part of a circuit that this rule reads. */
export interface Voted {
  state: CircuitState;
  votes: readonly Vote[];
  /** The instances whose votes opened the circuit; none where other things opened it. */
  voters: readonly string[];
  /** The instances whose votes do not count until the circuit has closed for themselves. */
  muted: readonly string[];
}

/** The rules by which one instance judges its own results, whatever the other instances find. */
export function ownRulesOf(rules: CircuitRules): CircuitRules {
  const { quorum = 1, trip: { rates } } = rules;
  return {
    ...rules,
    quorum: undefined,
    trip: {
      isByStore: true,
      rates: rates && {
        ...rates,
        minimumThroughput: Math.max(LEAST_THROUGHPUT, Math.ceil(rates.minimumThroughput / quorum)),
      },
    },
  };
}

/** The rules of the fleet's circuits: with a quorum no record opens them, and no rate is counted. */
export function fleetRulesOf(rules: CircuitRules): CircuitRules {
  return rules.quorum === undefined
    ? rules
    : { ...rules, trip: { isByStore: false, rates: undefined } };
}

/** The votes that stand. A vote from before the clock was set back ends by its distance. */
export function standingVotes(votes: readonly Vote[], now: number): Vote[] {
  return votes.filter(({ seenAt }) => Math.abs(now - seenAt) < VOTE_STANDS_MS);
}

/** SQL: the votes of a row that stand, as what comes after `from`: `vote` with `label` and `seen`. */
function fromStanding(row: string, now: string): string {
  return `rows from (
      pg_catalog.unnest(${row}.vote_labels), pg_catalog.unnest(${row}.vote_seen)
    ) as vote (label, seen) where abs(${now} - vote.seen) < ${VOTE_STANDS_MS}`;
}

/** Whether any vote stands. */
export function hasStandingVotes({ votes }: Pick<Voted, "votes">, now: number): boolean {
  return standingVotes(votes, now).length > 0;
}

/** The labels of the votes that stand, in the order of UTF-8. */
export function standingLabels(votes: readonly Vote[], now: number): string[] {
  return standingVotes(votes, now).map(({ label }) => label).sort(compareKeys);
}

/** SQL: whether any vote of a row stands. */
export function hasStandingVotesSql(row: string, now: string): string {
  return `exists (select from ${fromStanding(row, now)})`;
}

/** SQL: the labels of the votes of a row that stand, sorted. */
export function standingLabelsSql(row: string, now: string): string {
  return `array(select vote.label from ${fromStanding(row, now)} order by vote.label collate "C")`;
}

/** Whether the vote of an instance stands. */
export function hasVoted({ votes }: Pick<Voted, "votes">, label: string, now: number): boolean {
  return standingVotes(votes, now).some((vote) => vote.label === label);
}

/** SQL: whether the vote of an instance stands in a row. */
export function hasVotedSql(row: string, label: string, now: string): string {
  return `exists (select from ${fromStanding(row, now)} and vote.label = ${label})`;
}

/** Whether the vote of an instance counts: for a closed circuit, of an instance that is not muted. */
export function mayVote({ state, muted }: Voted, label: string): boolean {
  return state === "closed" && !muted.includes(label);
}

/** SQL: whether the vote of an instance counts for a row. */
export function mayVoteSql(row: string, label: string): string {
  return `(${
    storedStateSql(row)
  } = 'closed' and not coalesce(${label} = any(${row}.muted), false))`;
}

/** The votes of a circuit after an instance has voted, the latest first. */
export function votesAfter({ votes }: Pick<Voted, "votes">, label: string, now: number): Vote[] {
  return [{ label, seenAt: now }, ...others(votes, label, now).slice(0, MAX_VOTES - 1)];
}

/** SQL: the same for a row. The labels and their times are two arrays in one order. */
export function votesAfterSql(
  row: string,
  label: string,
  now: string,
): { labels: string; seen: string } {
  const others = (column: string) =>
    `array(select vote.${column} from ${fromStanding(row, now)} and vote.label <> ${label}
      order by vote.seen desc, vote.label collate "C" limit ${MAX_VOTES - 1})`;
  return {
    labels: `pg_catalog.array_prepend(${label}, ${others("label")})`,
    seen: `pg_catalog.array_prepend(${now}, ${others("seen")})`,
  };
}

/** The votes of a circuit after an instance has taken its vote back, the latest first. */
export function votesWithout({ votes }: Pick<Voted, "votes">, label: string, now: number): Vote[] {
  return others(votes, label, now);
}

/** SQL: the same for a row; null where none is left. */
export function votesWithoutSql(
  row: string,
  label: string,
  now: string,
): { labels: string; seen: string } {
  const others = (column: string) =>
    `(select pg_catalog.array_agg(vote.${column} order by vote.seen desc, vote.label collate "C")
      from ${fromStanding(row, now)} and vote.label <> ${label})`;
  return { labels: others("label"), seen: others("seen") };
}

/** The muted instances after the circuit of one of them has closed for itself. */
export function mutedWithout({ muted }: Pick<Voted, "muted">, label: string): string[] {
  return muted.filter((each) => each !== label);
}

/** SQL: the same for a row; null where none is left. */
export function mutedWithoutSql(row: string, label: string): string {
  return `(select pg_catalog.array_agg(mute.label order by mute.place)
      from pg_catalog.unnest(${row}.muted) with ordinality as mute (label, place)
      where mute.label <> ${label})`;
}

/**
 * The muted instances after the probe of an instance has closed the circuit. Where that instance had not
 * voted, the upstream works for it, so the voters are muted. Those that were muted before stay so: bad
 * instances that vote two by two would make the fleet flap otherwise. The instance itself is not muted.
 */
export function mutedAfterClose({ voters, muted }: Voted, actor: string): string[] {
  const added = voters.includes(actor) ? [] : voters;
  return [...added, ...muted.filter((label) => !added.includes(label))]
    .filter((label) => label !== actor).slice(0, MAX_MUTED);
}

/** SQL: the same for a row; null where none is left. */
export function mutedAfterCloseSql(row: string, actor: string): string {
  return `(select pg_catalog.array_agg(mute.label order by mute.place) from (
      select each.label, min(each.place) as place
      from pg_catalog.unnest(case when coalesce(${actor} = any(${row}.voters), false) then ${row}.muted
        else pg_catalog.array_cat(${row}.voters, ${row}.muted) end) with ordinality as each (label, place)
      where each.label <> ${actor} group by each.label order by 2 limit ${MAX_MUTED}
    ) as mute)`;
}

/** The votes of other instances that stand, the latest first. */
function others(votes: readonly Vote[], label: string, now: number): Vote[] {
  return standingVotes(votes, now).filter((vote) => vote.label !== label)
    .sort((a, b) => b.seenAt - a.seenAt || compareKeys(a.label, b.label));
}
