/** Claims of probes, and their results. Each locks its rows, judges them and writes them in one step. */

import type { Round } from "../../circuit.ts";
import type { ProbingRules } from "../../options/store_options.ts";
import { isForcedSql } from "../../rules/forcing.ts";
import { isCurrentRoundSql, moveCauseSql, openedAtAfterSql } from "../../rules/moving.ts";
import { isRoundDueSql, vacantProbesSql } from "../../rules/probing.ts";
import { storedStateSql } from "../../rules/state.ts";
import { isTripDueSql } from "../../rules/tripping.ts";
import type { CircuitState } from "../../types.ts";
import { textArray } from "../text_array.ts";
import { type ChangedCircuit, changeSql, toChangedCircuits } from "./change.ts";
import type { Statement, StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/** How many probes of one circuit are wanted. */
export interface ClaimRequest {
  key: string;
  wanted: number;
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
      calls: context.calls({ key: "text", wanted: "int" }),
      given: ["wanted"],
      judged: [
        ["is_due", isRoundDueSql("c", "c.now", probing)],
        [
          "granted",
          `case when ${isForcedSql("c", "c.now")} then 0 else least(c.wanted, ${
            vacantProbesSql("c", "c.is_due", probing)
          }) end`,
        ],
      ],
      changes: "(c.granted > 0 and c.is_due)",
      writes: "c.granted > 0",
      state: "'half-open'",
      zeroesLike: "'half-open'",
      cause: "case when c.state = 'half-open' then 'round' else 'probe' end",
      actor: context.param(2),
      reason: "null::text",
      set: {
        last_state_change: ifBegun("last_state_change", "c.now"),
        opened_at: ifBegun("opened_at", openedAtAfterSql("c", "'half-open'", "c.now")),
        probe_count: ifBegun("probe_count", "c.granted", "c.probe_count + c.granted"),
        probe_expires_at:
          `case when c.granted > 0 then c.now + ${probing.probeTimeoutMs} else c.probe_expires_at end`,
      },
      returned: { granted: "c.granted" },
    }),
    encode: (requests, actor) => [
      textArray(requests.map(({ key }) => key)),
      textArray(requests.map(({ wanted }) => wanted)),
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
 * Moves a circuit by the result of a probe. It applies only while the row is in the round that was
 * claimed. One late result applies: that of a closed circuit which is due to open.
 */
export function settleStatement(
  context: StatementContext,
): Statement<
  [key: string, to: CircuitState, round: Round, actor: string],
  ChangedCircuit[]
> {
  const { rules } = context;
  const to = context.param(1);
  const round = isCurrentRoundSql(
    "c",
    `${context.param(2)}::bigint`,
    `${context.param(3)}::bigint`,
  );
  const ifMoved = (column: string, value: string) =>
    `case when c.moves then ${value} else c.${column} end`;
  return {
    action: "settle probe",
    text: changeSql(context, {
      calls: `select ${context.param(0)} as key`,
      judged: [[
        "moves",
        `(not ${isForcedSql("c", "c.now")} and (${round} or ${to} = 'open' and ${
          isTripDueSql("c", "c.now", rules)
        }))`,
      ]],
      changes: "c.moves",
      state: to,
      zeroesLike: to,
      cause: moveCauseSql(storedStateSql("c"), to),
      actor: context.param(4),
      reason: "null::text",
      set: {
        last_state_change: ifMoved("last_state_change", "c.now"),
        opened_at: ifMoved("opened_at", openedAtAfterSql("c", to, "c.now")),
        probe_count: ifMoved("probe_count", "0"),
        probe_expires_at: ifMoved("probe_expires_at", "0"),
      },
    }),
    encode: (key, to, round, actor) => [
      key,
      to,
      `${round.version}`,
      `${round.lastStateChange}`,
      actor,
    ],
    decode: toChangedCircuits,
    timeOf,
  };
}
