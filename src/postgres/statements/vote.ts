/** Voting: what an instance says of circuits that it finds due to open, where a quorum decides. */

import { isForcedSql } from "../../rules/forcing.ts";
import {
  hasVotedSql,
  mayVoteSql,
  mutedWithoutSql,
  votesAfterSql,
  votesWithoutSql,
} from "../../rules/voting.ts";
import { textArray } from "../text_array.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { openedWhereSql } from "./opening.ts";
import { timeOf } from "./read.ts";

type Voting = Statement<[keys: readonly string[], label: string], ChangedCircuit[]>;

/**
 * Casts the vote of an instance, or renews it. The vote that completes the quorum opens the circuit in the
 * same statement. A new vote takes a version and a row of the log, from closed to closed; a renewal takes
 * neither. A vote for a circuit that is not closed, or of a muted instance, changes nothing. Returns the
 * circuits that have a row.
 */
export function voteStatement(context: StatementContext, quorum: number): Voting {
  const label = context.param(1);
  const votes = votesAfterSql("c", label, "c.now");
  const ifOpened = (column: string, value: string) =>
    `case when c.completes then ${value} else c.${column} end`;
  const voted = (column: string, value: string) =>
    `case when c.completes then null when c.may_vote then ${value} else c.${column} end`;
  return {
    action: "vote for opening",
    text: changeSql(context, {
      calls: context.calls({ key: "text" }),
      judged: [
        // What an operator has forced open needs no vote, and has ended those before.
        ["may_vote", `(c.seen_state = 'closed' and ${mayVoteSql("c", label)})`],
        ["has_voted", hasVotedSql("c", label, "c.now")],
        ["labels_after", votes.labels],
        [
          "completes",
          `(c.may_vote and not ${
            isForcedSql("c", "c.now")
          } and pg_catalog.cardinality(c.labels_after) >= ${quorum})`,
        ],
      ],
      changes: "(c.completes or c.may_vote and not c.has_voted)",
      writes: "c.may_vote",
      state: ifOpened("state", "'open'"),
      zeroesLike: "''",
      cause: "'vote'",
      actor: label,
      reason: "null::text",
      set: {
        ...openedWhereSql("c.completes", "c", "c.now", context.rules),
        vote_labels: voted("vote_labels", "c.labels_after"),
        vote_seen: voted("vote_seen", votes.seen),
        voters: ifOpened("voters", "c.labels_after"),
      },
    }),
    encode,
    decode: toChangedCircuits,
    timeOf,
  };
}

/**
 * Takes the votes of an instance back, whose own circuits have closed. It is not muted any more. A vote that
 * stood takes a version and a row of the log.
 */
export function withdrawStatement(context: StatementContext): Voting {
  const label = context.param(1);
  const votes = votesWithoutSql("c", label, "c.now");
  const ifListed = (column: string, value: string) =>
    `case when c.is_listed then ${value} else c.${column} end`;
  return {
    action: "withdraw vote",
    text: changeSql(context, {
      calls: context.calls({ key: "text" }),
      judged: [
        ["has_voted", hasVotedSql("c", label, "c.now")],
        ["is_listed", `coalesce(${label} = any(c.vote_labels), false)`],
        ["is_muted", `coalesce(${label} = any(c.muted), false)`],
      ],
      changes: "c.has_voted",
      writes: "(c.is_listed or c.is_muted)",
      state: "c.state",
      zeroesLike: "''",
      cause: "'vote'",
      actor: label,
      reason: "'withdrawn'::text",
      set: {
        vote_labels: ifListed("vote_labels", votes.labels),
        vote_seen: ifListed("vote_seen", votes.seen),
        muted: `case when c.is_muted then ${mutedWithoutSql("c", label)} else c.muted end`,
      },
    }),
    encode,
    decode: toChangedCircuits,
    timeOf,
  };
}

function encode(keys: readonly string[], label: string): [keys: string, label: string] {
  return [textArray(keys), label];
}
