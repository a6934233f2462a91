/** Claims of probes, and their results. Each locks its rows, judges them and writes them in one step. */

import type { Circuit, Round } from "../../circuit.ts";
import type { ProbingRules } from "../../options/store_options.ts";
import { isForcedSql } from "../../rules/forcing.ts";
import { isCurrentRoundSql, isZeroedSql } from "../../rules/moving.ts";
import { isRoundDueSql, vacantProbesSql } from "../../rules/probing.ts";
import { isTripDueSql } from "../../rules/tripping.ts";
import type { CircuitState } from "../../types.ts";
import { packCircuit, packKeyedCircuit, toCircuits } from "../codec.ts";
import { textArray } from "../text_array.ts";
import { BY_INDEX, type Statement, type StatementContext } from "./context.ts";
import { timeOf } from "./read.ts";

/** How many probes of one circuit are wanted. */
export interface ClaimRequest {
  key: string;
  wanted: number;
}

/** A circuit after a claim, and how many probes were admitted. */
export interface ClaimedCircuit extends Circuit {
  granted: number;
}

/** Admits as many probes as the rules allow. Returns every circuit that exists. */
export function claimStatement(
  context: StatementContext,
  probing: ProbingRules,
): Statement<[requests: readonly ClaimRequest[]], ClaimedCircuit[]> {
  const { table } = context;
  return {
    action: "claim probe",
    text: `with held as (
  select c.*, call.wanted
  from unnest(${context.param(0)}::text[], ${context.param(1)}::int[]) as call (key, wanted)
  join ${table.quoted} as c on c.key = call.key and ${BY_INDEX}
  order by c.key collate "C"
  for update of c
), clocked as materialized (
  -- After the locks were got: a wait for them must not make the time old.
  select *, ${context.now} as now from held
), judged as (
  select *, not ${isForcedSql("clocked", "now")} as is_free, ${
      isRoundDueSql("clocked", "now", probing)
    } as is_due
  from clocked
), granted as (
  select *, case when is_free then least(wanted, ${
      vacantProbesSql("judged", "is_due", probing)
    }) else 0 end as granted
  from judged
), claimed as (
  update ${table.quoted} as c set
    state = 'half-open',
    success_count = case when is_due and ${
      isZeroedSql("successes", "'half-open'")
    } then 0 else c.success_count end,
    last_state_change = case when is_due then now else c.last_state_change end,
    version = c.version + case when is_due then 1 else 0 end,
    probe_count = case when is_due then granted else c.probe_count + granted end,
    probe_expires_at = now + ${probing.probeTimeoutMs},
    updated_at = now
  from granted where c.key = granted.key and granted > 0
  returning c.*, now, granted
)
select ${packKeyedCircuit(context, "now")}, granted::int from claimed as c
union all
select ${packKeyedCircuit(context, "now")}, granted::int from granted as c where granted = 0`,
    encode: (requests) => [
      textArray(requests.map(({ key }) => key)),
      textArray(requests.map(({ wanted }) => wanted)),
    ],
    decode: (rows) =>
      rows.map((row) => ({ ...toCircuits([row])[0]!, granted: Number(row.granted) })),
  };
}

/**
 * Moves a circuit by the result of a probe. It applies only while the row is in the round that was
 * claimed. The version alone is not enough: `reset` deletes the row, and a later row can reach the
 * same version at another time. One late result applies: that of a closed circuit which is due to
 * open.
 */
export function settleStatement(
  context: StatementContext,
): Statement<[key: string, to: CircuitState, round: Round], Circuit[]> {
  const { table, rules, now } = context;
  const to = context.param(1);
  const round = isCurrentRoundSql(
    "c",
    `${context.param(2)}::bigint`,
    `${context.param(3)}::bigint`,
  );
  const zeroesFailures = isZeroedSql("failures", to);
  return {
    action: "settle probe",
    text: `with held as (
  select * from ${table.quoted} where key = ${context.param(0)} for update
), clocked as materialized (
  select *, ${now} as now from held
), judged as (
  select *, not ${isForcedSql("c", "now")} and (
    ${round} or ${to} = 'open' and ${isTripDueSql("c", "now", rules)}
  ) as moves
  from clocked as c
), moved as (
  update ${table.quoted} as c set
    state = ${to},
    failure_count = case when ${zeroesFailures} then 0 else c.failure_count end,
    recent_failures = case when ${zeroesFailures} then '{}' else c.recent_failures end,
    success_count = case when ${isZeroedSql("successes", to)} then 0 else c.success_count end,
    last_state_change = now,
    version = c.version + 1,
    probe_count = 0,
    probe_expires_at = 0,
    updated_at = now
  from judged where c.key = judged.key and moves
  returning c.*, now
)
select ${packCircuit(context, "now")} from moved as c
union all
select ${packCircuit(context, "now")} from judged as c where not moves`,
    encode: (key, to, round) => [key, to, `${round.version}`, `${round.lastStateChange}`],
    decode: (rows, key) => toCircuits(rows, key),
    timeOf,
  };
}
