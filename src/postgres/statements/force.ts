/** What an operator does to a circuit: forces a state, releases it, resets the circuit. */

import type { Act, Force } from "../../options/force.ts";
import { hasForceSql, isForcedSql } from "../../rules/forcing.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { isBlankSql, timeOf } from "./read.ts";

/**
 * Forces a state on a circuit, or releases it. The new version fences the probes under way. Returns the
 * circuit, unless it has no row.
 */
export function forceStatement(
  context: StatementContext,
): Statement<[key: string, force: Force, actor: string], ChangedCircuit[]> {
  const state = context.param(1);
  const reason = context.param(3);
  const actor = context.param(4);
  return {
    action: "force circuit",
    text: changeSql(context, {
      calls: `select ${context.param(0)} as key`,
      changes: `(${state} is not null or ${isForcedSql("c", "c.now")})`,
      // What has ended by its time goes away too: the clock can be set back.
      writes: `(${state} is null and ${hasForceSql("c")})`,
      state: "c.state",
      zeroesLike: "''",
      forced: {
        state,
        at: `case when ${state} is null then null else c.now end`,
        until: `c.now + ${context.param(2)}::bigint`,
        reason: `case when ${state} is null then null else ${reason} end`,
        by: `case when ${state} is null then null else ${actor} end`,
      },
      cause: `case when ${state} is null then 'release' else 'force' end`,
      actor,
      reason,
      set: {},
    }),
    encode: (key, force, actor) => [
      key,
      force.state ?? null,
      force.forMs === undefined ? null : `${force.forMs}`,
      force.reason ?? null,
      force.actor ?? actor,
    ],
    decode: toChangedCircuits,
    timeOf,
  };
}

/**
 * Forgets a circuit: it blanks its row, and keeps it for the sake of its version. A blank row stays as it
 * is. Returns the circuit, unless it has no row.
 */
export function resetStatement(
  context: StatementContext,
): Statement<[key: string, act: Act, actor: string], ChangedCircuit[]> {
  const zero = (column: string) =>
    `case when c.new_version is not null then 0 else c.${column} end`;
  return {
    action: "reset circuit",
    text: changeSql(context, {
      calls: `select ${context.param(0)} as key`,
      changes: `(not ${isBlankSql("c")} or c.vote_labels is not null)`,
      state: "'closed'",
      zeroesLike: "'closed'",
      forced: { state: "null", at: "null", until: "null", reason: "null", by: "null" },
      cause: `case when c.seen_state <> 'closed' or ${
        isForcedSql("c", "c.now")
      } then 'reset' else 'zeroed' end`,
      actor: context.param(1),
      reason: context.param(2),
      set: {
        last_failure_time: zero("last_failure_time"),
        last_state_change: zero("last_state_change"),
        opened_at: zero("opened_at"),
        refused_count: zero("refused_count"),
        probe_count: zero("probe_count"),
        probe_expires_at: zero("probe_expires_at"),
        probe_settled: zero("probe_settled"),
        probe_successes: zero("probe_successes"),
        reset_ms: zero("reset_ms"),
        failed_rounds: zero("failed_rounds"),
        muted: "case when c.new_version is not null then null else c.muted end",
      },
    }),
    encode: (key, act, actor) => [key, act.actor ?? actor, act.reason ?? null],
    decode: toChangedCircuits,
    timeOf,
  };
}
