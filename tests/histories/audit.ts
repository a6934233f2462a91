/**
 * The test's own record of every row, made by triggers in a schema of their own: what a statement left,
 * when, by which session, in which transaction, in the order of the commits for each row.
 *
 * @module
 */

import type { CircuitState } from "../../src/types.ts";
import type { AuditedLogRow, AuditRow, Observation } from "./recorded.ts";
import type { Session } from "./session.ts";

const TABLE = "public.stoma_circuit_breakers";

// Identity columns take their numbers under the lock of the audited row, so they have its order.
const SCHEMA = `
create schema audit;
create table audit.rows (
  id bigint generated always as identity (cache 1), at double precision, xid text, writer text, key text,
  is_deleted boolean, data jsonb
);
create table audit.log (
  id bigint generated always as identity (cache 1), at double precision, xid text, writer text, data jsonb
);
create function audit.note_row() returns trigger language plpgsql as $$
declare
  data jsonb;
begin
  if tg_op = 'DELETE' then data := to_jsonb(old); else data := to_jsonb(new); end if;
  insert into audit.rows (at, xid, writer, key, is_deleted, data) values (
    extract(epoch from clock_timestamp()) * 1000, pg_current_xact_id()::text,
    current_setting('application_name'), data ->> 'key', tg_op = 'DELETE',
    data - 'key' - 'recent_failures' - 'forced_reason' - 'forced_by'
  );
  return null;
end $$;
create function audit.note_log() returns trigger language plpgsql as $$
begin
  insert into audit.log (at, xid, writer, data) values (
    extract(epoch from clock_timestamp()) * 1000, pg_current_xact_id()::text,
    current_setting('application_name'), to_jsonb(new)
  );
  -- Some transactions commit late: they have an id, and hold their rows, while others go on.
  if random() < 0.1 then perform pg_sleep(random() * 0.15); end if;
  return null;
end $$;
create trigger audit_rows after insert or update or delete on ${TABLE}
  for each row execute function audit.note_row();
create trigger audit_log after insert on ${TABLE}_changes
  for each row execute function audit.note_log();
`;

/** Begins to record. */
export async function installAudit(session: Session): Promise<void> {
  await session.query(SCHEMA);
}

/** Every row as every statement left it. */
export async function readRows(session: Session): Promise<AuditRow[]> {
  const rows = await session.query<Record<string, string | number | boolean | null>>(`
    select id::float8, at, xid, writer, key, is_deleted, data ->> 'state' as state,
      (data ->> 'failure_count')::float8 as failures, (data ->> 'success_count')::float8 as successes,
      (data ->> 'last_state_change')::float8 as last_state_change,
      (data ->> 'version')::float8 as version, (data ->> 'zeroed_version')::float8 as zeroed_version,
      data ->> 'logged_state' as logged_state, data ->> 'forced_state' as forced_state,
      (data ->> 'forced_at')::float8 as forced_at, (data ->> 'forced_until')::float8 as forced_until,
      (data ->> 'probe_count')::float8 as probes
    from audit.rows order by id`);
  return rows.map((row) => ({
    id: Number(row.id),
    at: Number(row.at),
    xid: String(row.xid),
    writer: String(row.writer),
    key: String(row.key),
    isDeleted: row.is_deleted === true,
    state: row.state as CircuitState,
    failures: Number(row.failures),
    successes: Number(row.successes),
    lastStateChange: Number(row.last_state_change),
    version: Number(row.version),
    zeroedVersion: Number(row.zeroed_version),
    loggedState: row.logged_state as CircuitState,
    forcedState: row.forced_state as "open" | "closed" | null,
    forcedAt: row.forced_at as number | null,
    forcedUntil: row.forced_until as number | null,
    probes: Number(row.probes),
  }));
}

/** Every row of the log, also those that were pruned since. */
export async function readLog(session: Session): Promise<AuditedLogRow[]> {
  const rows = await session.query<Record<string, string | number>>(`
    select id::float8, at, xid, writer, data ->> 'key' as key,
      (data ->> 'version')::float8 as version, data ->> 'from_state' as from_state,
      data ->> 'to_state' as to_state, data ->> 'cause' as cause
    from audit.log order by id`);
  return rows.map((row) => ({
    id: Number(row.id),
    at: Number(row.at),
    xid: String(row.xid),
    writer: String(row.writer),
    key: String(row.key),
    version: Number(row.version),
    from: row.from_state as CircuitState,
    to: row.to_state as CircuitState,
    cause: String(row.cause),
  }));
}

/** What a snapshot of the server shows, at the moment at which it is here. */
export function observationOf(snapshot: string, at: number): Observation {
  const [, xmax, running] = snapshot.split(":");
  return { at, xmax: BigInt(xmax!), running: new Set(running ? running.split(",") : []) };
}
