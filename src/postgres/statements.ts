/**
 * The SQL of every statement on the table, one function each. All are set-based: arrays go in, and
 * rows are written in one order (by key, "C" collation), so that two instances never deadlock.
 *
 * Parameters are text and cast here, so that every driver sends and returns the same.
 */

import { MAX_COUNT } from "../types.ts";
import type { TableName } from "./identifier.ts";

/**
 * Epoch milliseconds of the clock that decides: the caller's where `$1` holds one, otherwise the
 * database's. Not `now()`, which stands still in a transaction. In a SET list it is evaluated after
 * the row's lock was got, so that a wait for the lock does not make the time old.
 */
const NOW =
  "coalesce($1::text::bigint, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)";

/**
 * What every statement returns. Cast, so that a migration that widens a column under a running
 * gateway does not change the type of a result it has prepared (0A000).
 */
const COLUMNS = `key::text, state::text, failure_count::bigint, success_count::bigint,
  last_failure_time::bigint, last_state_change::bigint, ${NOW} as server_now`;

/** `$2` keys. Returns a row for each key that has one. */
export function readStatement(table: TableName): string {
  return `select ${COLUMNS} from ${table.quoted} where key = any($2::text::text[])`;
}

/** `$2` the key: the form for a lone key, which is cheaper to run. */
export function readOneStatement(table: TableName): string {
  return `select ${COLUMNS} from ${table.quoted} where key = $2::text`;
}

/** `$2` keys, `$3` failures and `$4` successes to add, key by key; no key twice. */
export function recordStatement(table: TableName): string {
  return `${insertCounts(table)}
select key, failures, successes, ${failureTime("failures")}, ${NOW}
from unnest($2::text::text[], $3::text::bigint[], $4::text::bigint[]) as call (key, failures, successes)
order by key collate "C"
${addCounts()}`;
}

/** `$2` the key, `$3` failures and `$4` successes to add: the form for a lone key. */
export function recordOneStatement(table: TableName): string {
  const failures = "$3::text::bigint";
  return `${insertCounts(table)}
values ($2::text, ${failures}, $4::text::bigint, ${failureTime(failures)}, ${NOW})
${addCounts()}`;
}

function insertCounts(table: TableName): string {
  return `insert into ${table.quoted} as circuit
  (key, failure_count, success_count, last_failure_time, updated_at)`;
}

function failureTime(failures: string): string {
  return `case when ${failures} > 0 then ${NOW} else 0 end`;
}

function addCounts(): string {
  return `on conflict (key) do update set
  failure_count = ${saturated("failure_count")},
  success_count = ${saturated("success_count")},
  last_failure_time =
    case when excluded.failure_count > 0 then ${NOW} else circuit.last_failure_time end,
  updated_at = ${NOW}
returning ${COLUMNS}`;
}

// The inner bound is for a counter that somebody else set beyond ours: adding to 2^63 - 1 fails.
function saturated(counter: string): string {
  return `least(least(circuit.${counter}, ${MAX_COUNT}) + excluded.${counter}, ${MAX_COUNT})`;
}

/**
 * `$2` keys and `$3` the state to move each to; no key twice. To the state it has, a row is written
 * back unchanged rather than left out, because only a written row is returned as it is now: a
 * separate read would see the moment at which the statement began. A circuit without a row is
 * closed already: closing it makes none.
 */
export function transitionStatement(table: TableName): string {
  const moves = `${effectiveState("circuit")} <> excluded.state`;
  return `insert into ${table.quoted} as circuit
  (key, state, last_state_change, version, updated_at)
select key, state,
  case when state = 'closed' then 0 else ${NOW} end,
  case when state = 'closed' then 0 else 1 end,
  ${NOW}
from unnest($2::text::text[], $3::text::text[]) as move (key, state)
where state <> 'closed' or exists (select from ${table.quoted} where key = move.key)
order by key collate "C"
on conflict (key) do update set
  state = excluded.state,
  failure_count =
    case when ${moves} and excluded.state = 'closed' then 0 else circuit.failure_count end,
  success_count =
    case when ${moves} and excluded.state <> 'open' then 0 else circuit.success_count end,
  last_state_change = case when ${moves} then ${NOW} else circuit.last_state_change end,
  version = circuit.version + case when ${moves} then 1 else 0 end,
  updated_at = case when ${moves} then ${NOW} else circuit.updated_at end
returning ${COLUMNS}`;
}

/** What a row counts as: a state that nobody knows reads as closed, because traffic must go on. */
function effectiveState(row: string): string {
  return `case when ${row}.state in ('open', 'half-open') then ${row}.state else 'closed' end`;
}

/** `$1` keys. */
export function resetStatement(table: TableName): string {
  return `with circuit as (
  select key from ${table.quoted} where key = any($1::text::text[]) order by key for update
)
delete from ${table.quoted} using circuit where ${table.quoted}.key = circuit.key`;
}

/** `$2` state or null, `$3` limit, `$4` the key to start after, where there is one. */
export function listStatement(table: TableName, hasCursor: boolean): string {
  return `select ${COLUMNS} from ${table.quoted} as circuit
where ($2::text is null or ${effectiveState("circuit")} = $2::text)${
    hasCursor ? ' and key collate "C" > $4::text' : ""
  }
order by key collate "C" limit $3::text::int`;
}
