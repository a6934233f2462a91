/** Claims of probes, and their results. Each locks its rows, judges them and writes them in one step. */

import type { Round } from "../../circuit.ts";
import type { ProbingRules } from "../../options/store_options.ts";
import type { PermitOutcome } from "../../permit.ts";
import { openingSql } from "../../rules/backoff.ts";
import { isForcedSql } from "../../rules/forcing.ts";
import { isCurrentRoundSql, moveCauseSql, openedAtAfterSql } from "../../rules/moving.ts";
import { isRoundDueSql, keptSuccessesSql, vacantProbesSql } from "../../rules/probing.ts";
import { settlementSql } from "../../rules/settling.ts";
import { storedStateSql } from "../../rules/state.ts";
import { mutedAfterCloseSql } from "../../rules/voting.ts";
import { textArray } from "../text_array.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";
import { isTripDecidedSql } from "./verdict.ts";

/** How many probes of one circuit are wanted, and for how long a new round must have been due. */
export interface ClaimRequest {
  key: string;
  wanted: number;
  patienceMs: number;
}

/** A circuit after a claim, and how many probes were admitted. */
export interface ClaimedCircuit extends ChangedCircuit {
  granted: number;
}

/** Admits as many probes as the rules allow. Returns every circuit that exists. */
export function claimStatement(
  context: StatementContext,
  probing: ProbingRules,
): Statement<[requests: readonly ClaimRequest[], actor: string], ClaimedCircuit[]> {
  return {
    action: "claim probe",
    text: changeSql(context, {
      calls: context.calls({ key: "text", wanted: "int", patience: "bigint" }),
      given: ["wanted", "patience"],
      judged: [
        ["is_due", isRoundDueSql("c", "c.now", probing, "c.patience")],
        [
          "granted",
          `case when ${isForcedSql("c", "c.now")} then 0 else least(c.wanted, ${
            vacantProbesSql("c", "c.is_due", probing, "c.patience")
          }) end`,
        ],
      ],
      changes: "(c.granted > 0 and c.is_due)",
      writes: "c.granted > 0",
      state: "'half-open'",
      zeroesLike: "'half-open'",
      cause: "case when c.state = 'half-open' then 'round' else 'probe' end",
      actor: context.param(3),
      reason: "null::text",
      set: {
        last_state_change: ifBegun("last_state_change", "c.now"),
        opened_at: ifBegun("opened_at", openedAtAfterSql("c", "'half-open'", "c.now")),
        probe_count: ifBegun("probe_count", "c.granted", "c.probe_count + c.granted"),
        probe_expires_at:
          `case when c.granted > 0 then c.now + ${probing.probeTimeoutMs} else c.probe_expires_at end`,
        probe_settled: ifBegun("probe_settled", "0"),
        probe_successes: ifBegun("probe_successes", keptSuccessesSql("c", probing)),
        reset_ms: ifBegun("reset_ms", "0"),
      },
      returned: { granted: "c.granted" },
    }),
    encode: (requests, actor) => [
      textArray(requests.map(({ key }) => key)),
      textArray(requests.map(({ wanted }) => wanted)),
      textArray(requests.map(({ patienceMs }) => patienceMs)),
      actor,
    ],
    decode: (rows) =>
      toChangedCircuits(rows).map((circuit, i) => ({
        ...circuit,
        granted: Number(rows[i]!.granted),
      })),
    timeOf,
  };
}

/** A column that a new round sets. The row is also written for more probes of a round. */
function ifBegun(column: string, value: string, otherwise = `c.${column}`): string {
  return `case when c.new_version is not null then ${value} else ${otherwise} end`;
}

/**
 * Applies the result of a probe, which was recorded before. It applies only while the row is in the
 * round that was claimed. One late result applies: that of a closed circuit which is due to open.
 */
export function settleStatement(
  context: StatementContext,
  probing: ProbingRules,
): Statement<
  [key: string, outcome: PermitOutcome, round: Round, actor: string],
  ChangedCircuit[]
> {
  const { rules } = context;
  const outcome = context.param(1);
  const round = isCurrentRoundSql(
    "c",
    `${context.param(2)}::bigint`,
    `${context.param(3)}::bigint`,
  );
  const settled = settlementSql("c", outcome, probing);
  const isChanged = "c.new_version is not null";
  const ifChanged = (column: string, value: string, otherwise = `c.${column}`) =>
    `case when ${isChanged} then ${value} else ${otherwise} end`;
  const ifSettled = (column: string, value: string) =>
    `case when ${isChanged} then 0 when c.is_current then ${value} else c.${column} end`;
  const to = "case when c.closes then 'closed' else 'open' end";
  const opens = openingSql("c", "c.now", rules);
  return {
    action: "settle probe",
    text: changeSql(context, {
      calls: `select ${context.param(0)} as key`,
      judged: [
        ["is_free", `not ${isForcedSql("c", "c.now")}`],
        ["is_current", `(c.is_free and ${round})`],
        ["closes", `(c.is_current and ${settled.closes})`],
        [
          "opens",
          `(c.is_free and ${settled.opens} and (${round} or ${
            isTripDecidedSql(context, "c.now")
          }))`,
        ],
      ],
      changes: "(c.closes or c.opens)",
      writes: "c.is_current",
      state: to,
      zeroesLike: to,
      cause: moveCauseSql(storedStateSql("c"), to),
      actor: context.param(4),
      reason: "null::text",
      set: {
        last_state_change: ifChanged("last_state_change", "c.now"),
        opened_at: ifChanged("opened_at", openedAtAfterSql("c", to, "c.now")),
        probe_count: ifSettled("probe_count", settled.probeCount),
        probe_expires_at: ifChanged("probe_expires_at", "0"),
        suspect_at: ifChanged("suspect_at", "0"),
        probe_settled: ifSettled("probe_settled", settled.probeSettled),
        probe_successes: ifSettled("probe_successes", settled.probeSuccesses),
        reset_ms: ifChanged("reset_ms", `case when c.opens then ${opens.reset_ms} else 0 end`),
        failed_rounds: `case when c.opens then ${opens.failed_rounds} else c.failed_rounds end`,
        muted: `case when c.closes then ${
          mutedAfterCloseSql("c", context.param(4))
        } else c.muted end`,
      },
    }),
    encode: (key, outcome, round, actor) => [
      key,
      outcome,
      `${round.version}`,
      `${round.lastStateChange}`,
      actor,
    ],
    decode: toChangedCircuits,
    timeOf,
  };
}
