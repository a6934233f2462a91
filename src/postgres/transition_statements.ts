/**
 * The SQL of everything that moves a circuit: plain transitions, claims of probes, results of
 * probes, and what an operator forces. `version` grows by one with each real change of state and
 * each new round of probes: it is the fencing token.
 */

import type { ProbingRules } from "../options.ts";
import {
  columns,
  decidingFailures,
  isForced,
  keyedColumns,
  NOW,
  type StatementContext,
  storedState,
} from "./sql_parts.ts";

/**
 * `$2` keys and `$3` the state to move each to; no key twice. To the state it has, a row is written
 * back unchanged rather than left out, because only a written row is returned as it is now: a
 * separate read would see the moment at which the statement began. A circuit without a row is
 * closed already: closing it makes none.
 *
 * With probing, `open` applies only from closed (a straggler knows nothing of a round it did not
 * claim), and `half-open` begins a round whose first probe is the caller's.
 */
export function transitionStatement(context: StatementContext): string {
  const { table, rules } = context;
  const isStraggler = rules.probing === undefined
    ? ""
    : ` and (excluded.state <> 'open' or ${storedState("circuit")} = 'closed')`;
  const moves = `(${storedState("circuit")} <> excluded.state${isStraggler}
    and not ${isForced("circuit")})`;
  const leases = rules.probing === undefined ? ["0", "0"] : [
    "case when excluded.state = 'half-open' then 1 else 0 end",
    `case when excluded.state = 'half-open' then ${NOW} + ${rules.probing.probeTimeoutMs} else 0 end`,
  ];
  return `insert into ${table.quoted} as circuit
  (key, state, last_state_change, version, updated_at, probe_count, probe_expires_at)
select key, state,
  case when state = 'closed' then 0 else ${NOW} end,
  case when state = 'closed' then 0 else 1 end,
  ${NOW},
  ${leases.join(",\n  ").replaceAll("excluded.state", "state")}
from unnest($2::text::text[], $3::text::text[]) as move (key, state)
where state <> 'closed' or exists (select from ${table.quoted} as found where found.key = move.key)
order by key collate "C"
on conflict (key) do update set
  state = case when ${moves} then excluded.state else circuit.state end,
  failure_count =
    case when ${moves} and excluded.state = 'closed' then 0 else circuit.failure_count end,
  recent_failures =
    case when ${moves} and excluded.state = 'closed' then '{}' else circuit.recent_failures end,
  success_count =
    case when ${moves} and excluded.state <> 'open' then 0 else circuit.success_count end,
  last_state_change = case when ${moves} then ${NOW} else circuit.last_state_change end,
  version = circuit.version + case when ${moves} then 1 else 0 end,
  probe_count = case when ${moves} then ${leases[0]} else circuit.probe_count end,
  probe_expires_at = case when ${moves} then ${leases[1]} else circuit.probe_expires_at end,
  updated_at = case when ${moves} then ${NOW} else circuit.updated_at end
returning ${keyedColumns(context)}`;
}

/**
 * `$2` keys and `$3` how many probes are wanted for each. Admits what the rules allow, in one atomic
 * step: the row is locked, then judged, then written, and only where something is granted. Returns
 * every circuit that exists, with how many probes were granted.
 */
export function claimStatement(context: StatementContext, probing: ProbingRules): string {
  const { table } = context;
  const { resetTimeoutMs, halfOpenMax, probeTimeoutMs } = probing;
  return `with held as (
  select circuit.*, call.wanted
  from unnest($2::text::text[], $3::text::int[]) as call (key, wanted)
  join ${table.quoted} as circuit on circuit.key = call.key
  order by circuit.key collate "C"
  for update of circuit
), clocked as materialized (
  -- After the locks were got: a wait for them must not make the time old.
  select *, ${NOW} as now from held
), judged as (
  select *, not ${isForced("clocked", "now")} and case state
    when 'open' then abs(now - last_state_change) >= ${resetTimeoutMs}
    when 'half-open' then now >= probe_expires_at or last_state_change - now >= ${resetTimeoutMs}
    else false end as is_due
  from clocked
), granted as (
  select *, case
    when is_due then least(wanted, ${halfOpenMax})
    when state = 'half-open' and not ${isForced("judged", "now")}
      then greatest(least(wanted, ${halfOpenMax} - probe_count), 0)
    else 0 end as granted
  from judged
), claimed as (
  update ${table.quoted} as circuit set
    state = 'half-open',
    success_count = case when is_due then 0 else circuit.success_count end,
    last_state_change = case when is_due then now else circuit.last_state_change end,
    version = circuit.version + case when is_due then 1 else 0 end,
    probe_count = case when is_due then granted else circuit.probe_count + granted end,
    probe_expires_at = now + ${probeTimeoutMs},
    updated_at = now
  from granted where circuit.key = granted.key and granted > 0
  returning circuit.*, now, granted
)
select ${keyedColumns(context, "now")}, granted::int from claimed as circuit
union all
select ${keyedColumns(context, "now")}, granted::int from granted as circuit where granted = 0`;
}

/**
 * `$2` key, `$3` state, `$4` version and `$5` last state change of the claim: the result of a probe.
 * It applies only while the row is in the round that was claimed; `reset` deletes the row, and the
 * time tells a later row that came to the same version apart. The one late result that applies is
 * that of a closed circuit that has reached its threshold, which is no probe's.
 */
export function settleStatement(context: StatementContext): string {
  const { table, rules } = context;
  const trips = rules.failureThreshold === undefined ? "false" : `
      $3::text = 'open' and ${storedState("circuit")} = 'closed'
      and ${decidingFailures(context, "now")} >= ${rules.failureThreshold}`;
  return `with held as (
  select * from ${table.quoted} where key = $2::text for update
), clocked as materialized (
  select *, ${NOW} as now from held
), judged as (
  select *, not ${isForced("circuit", "now")} and (
    (state = 'half-open' and version = $4::text::bigint
      and last_state_change = $5::text::bigint) or (${trips})
  ) as moves
  from clocked as circuit
), moved as (
  update ${table.quoted} as circuit set
    state = $3::text,
    failure_count = case when $3::text = 'closed' then 0 else circuit.failure_count end,
    recent_failures = case when $3::text = 'closed' then '{}' else circuit.recent_failures end,
    success_count = case when $3::text = 'closed' then 0 else circuit.success_count end,
    last_state_change = now,
    version = circuit.version + 1,
    probe_count = 0,
    probe_expires_at = 0,
    updated_at = now
  from judged where circuit.key = judged.key and moves
  returning circuit.*, now
)
select ${columns(context, "now")} from moved as circuit
union all
select ${columns(context, "now")} from judged as circuit where not moves`;
}

/**
 * `$2` key, `$3` the state an operator forces or null to release it, `$4` for how many milliseconds
 * or null for no end, `$5` reason or null. Fences the probes under way by a step of the version.
 * Releasing a circuit without a row makes none.
 */
export function forceStatement(context: StatementContext): string {
  const until = `${NOW} + $4::text::bigint`;
  const changes = `(${isForced("circuit")} or $3::text is not null)`;
  return `insert into ${context.table.quoted} as circuit
  (key, forced_state, forced_at, forced_until, forced_reason, version, updated_at)
select $2::text, $3::text, ${NOW}, ${until}, $5::text, 1, ${NOW}
where $3::text is not null
  or exists (select from ${context.table.quoted} as found where found.key = $2::text)
on conflict (key) do update set
  forced_state = excluded.forced_state,
  forced_at = case when $3::text is null then null else ${NOW} end,
  forced_until = ${until},
  forced_reason = excluded.forced_reason,
  version = circuit.version + case when ${changes} then 1 else 0 end,
  updated_at = case when ${changes} then ${NOW} else circuit.updated_at end
returning ${columns(context)}`;
}
