/**
 * The SQL of everything that moves a circuit: plain transitions, claims of probes, results of
 * probes, and what an operator forces. `version` grows by one with each real change of state and
 * each new round of probes: it is the fencing token.
 */

import type { ProbingRules } from "../../options/store_options.ts";
import { columns, keyedColumns } from "../codec.ts";
import {
  BY_INDEX,
  decidingFailures,
  isForced,
  type StatementContext,
  storedState,
} from "../sql_parts.ts";

/**
 * In the SET list of an insert: one time for all conditions, which must not fall on both sides of a
 * moment. The clock itself is read anew wherever it stands.
 */
const ONCE = "excluded.updated_at";

/**
 * Parameters: keys, and the state to move each to; no key twice. To the state it has, a row is written
 * back unchanged rather than left out, because only a written row is returned as it is now: a
 * separate read would see the moment at which the statement began. A circuit without a row is
 * closed already: closing it makes none.
 *
 * With probing, `open` applies only from closed (a straggler knows nothing of a round it did not
 * claim), and `half-open` begins a round whose first probe is the caller's.
 */
export function transitionStatement(context: StatementContext): string {
  const { table, rules, now } = context;
  const isStraggler = rules.probing === undefined
    ? ""
    : ` and (excluded.state <> 'open' or ${storedState("c")} = 'closed')`;
  const moves = `(${storedState("c")} <> excluded.state${isStraggler}
    and not ${isForced("c", ONCE)})`;
  const leases = rules.probing === undefined ? ["0", "0"] : [
    "case when excluded.state = 'half-open' then 1 else 0 end",
    `case when excluded.state = 'half-open' then ${now} + ${rules.probing.probeTimeoutMs} else 0 end`,
  ];
  return `insert into ${table.quoted} as c
  (key, state, last_state_change, version, updated_at, changes, probe_count, probe_expires_at)
select key, state,
  case when state = 'closed' then 0 else ${now} end,
  case when state = 'closed' then 0 else 1 end,
  ${now},
  array[1, ${now}, case state when 'open' then 1 else 2 end],
  ${leases.join(",\n  ").replaceAll("excluded.state", "state")}
from unnest(${context.param(0)}::text[], ${context.param(1)}::text[]) as move (key, state)
where state <> 'closed' or exists (select from ${table.quoted} as found where found.key = move.key)
order by key collate "C"
on conflict (key) do update set
  state = case when ${moves} then excluded.state else c.state end,
  failure_count =
    case when ${moves} and excluded.state = 'closed' then 0 else c.failure_count end,
  recent_failures =
    case when ${moves} and excluded.state = 'closed' then '{}' else c.recent_failures end,
  success_count =
    case when ${moves} and excluded.state <> 'open' then 0 else c.success_count end,
  last_state_change = case when ${moves} then ${now} else c.last_state_change end,
  version = c.version + case when ${moves} then 1 else 0 end,
  probe_count = case when ${moves} then ${leases[0]} else c.probe_count end,
  probe_expires_at = case when ${moves} then ${leases[1]} else c.probe_expires_at end,
  updated_at = case when ${moves} then ${now} else c.updated_at end
returning ${keyedColumns(context)}`;
}

/**
 * Parameters: keys, and how many probes are wanted for each. Admits what the rules allow, in one atomic
 * step: the row is locked, then judged, then written, and only where something is granted. Returns
 * every circuit that exists, with how many probes were granted.
 */
export function claimStatement(context: StatementContext, probing: ProbingRules): string {
  const { table } = context;
  const { resetTimeoutMs, halfOpenMax, probeTimeoutMs } = probing;
  return `with held as (
  select c.*, call.wanted
  from unnest(${context.param(0)}::text[], ${context.param(1)}::int[]) as call (key, wanted)
  join ${table.quoted} as c on c.key = call.key and ${BY_INDEX}
  order by c.key collate "C"
  for update of c
), clocked as materialized (
  -- After the locks were got: a wait for them must not make the time old.
  select *, ${context.now} as now from held
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
  update ${table.quoted} as c set
    state = 'half-open',
    success_count = case when is_due then 0 else c.success_count end,
    last_state_change = case when is_due then now else c.last_state_change end,
    version = c.version + case when is_due then 1 else 0 end,
    probe_count = case when is_due then granted else c.probe_count + granted end,
    probe_expires_at = now + ${probeTimeoutMs},
    updated_at = now
  from granted where c.key = granted.key and granted > 0
  returning c.*, now, granted
)
select ${keyedColumns(context, "now")}, granted::int from claimed as c
union all
select ${keyedColumns(context, "now")}, granted::int from granted as c where granted = 0`;
}

/**
 * Parameters: key, state, version and last state change of the claim: the result of a probe.
 * It applies only while the row is in the round that was claimed; `reset` deletes the row, and the
 * time tells a later row that came to the same version apart. The one late result that applies is
 * that of a closed circuit that has reached its threshold, which is no probe's.
 */
export function settleStatement(context: StatementContext): string {
  const { table, rules, now } = context;
  const trips = rules.failureThreshold === undefined ? "false" : `
      ${context.param(1)} = 'open' and ${storedState("c")} = 'closed'
      and ${decidingFailures(context, "now")} >= ${rules.failureThreshold}`;
  return `with held as (
  select * from ${table.quoted} where key = ${context.param(0)} for update
), clocked as materialized (
  select *, ${now} as now from held
), judged as (
  select *, not ${isForced("c", "now")} and (
    (state = 'half-open' and version = ${context.param(2)}::bigint
      and last_state_change = ${context.param(3)}::bigint) or (${trips})
  ) as moves
  from clocked as c
), moved as (
  update ${table.quoted} as c set
    state = ${context.param(1)},
    failure_count = case when ${context.param(1)} = 'closed' then 0 else c.failure_count end,
    recent_failures = case when ${context.param(1)} = 'closed' then '{}' else c.recent_failures end,
    success_count = case when ${context.param(1)} = 'closed' then 0 else c.success_count end,
    last_state_change = now,
    version = c.version + 1,
    probe_count = 0,
    probe_expires_at = 0,
    updated_at = now
  from judged where c.key = judged.key and moves
  returning c.*, now
)
select ${columns(context, "now")} from moved as c
union all
select ${columns(context, "now")} from judged as c where not moves`;
}

/**
 * Parameters: key, the state an operator forces or null to release it, for how many milliseconds or
 * null for no end, reason or null. Fences the probes under way by a step of the version.
 * Releasing a circuit without a row makes none.
 */
export function forceStatement(context: StatementContext): string {
  const until = `${context.now} + ${context.param(2)}::bigint`;
  const changes = `(${isForced("c", ONCE)} or ${context.param(1)} is not null)`;
  return `insert into ${context.table.quoted} as c
  (key, forced_state, forced_at, forced_until, forced_reason, version, updated_at, changes)
select ${context.param(0)}, ${context.param(1)}, ${context.now}, ${until}, ${
    context.param(3)
  }, 1, ${context.now},
  array[1, ${context.now}, case ${context.param(1)} when 'open' then 1 else 0 end]
where ${context.param(1)} is not null
  or exists (select from ${context.table.quoted} as found where found.key = ${context.param(0)})
on conflict (key) do update set
  forced_state = excluded.forced_state,
  forced_at = case when ${context.param(1)} is null then null else ${context.now} end,
  forced_until = ${until},
  forced_reason = excluded.forced_reason,
  version = c.version + case when ${changes} then 1 else 0 end,
  updated_at = case when ${changes} then ${context.now} else c.updated_at end
returning ${columns(context)}`;
}
