do $migration$
declare
  found_version integer;
  remark text;
begin
  -- Instances that start together take turns; all but the first then find nothing left to do.
  perform pg_advisory_xact_lock(hashtextextended('@circuit-breaker/postgres', 0));
  if to_regclass('"stoma_circuit_breakers"') is null then
    create table "stoma_circuit_breakers" (
      key text collate "C" primary key,
      state text not null default 'closed',
      failure_count bigint not null default 0,
      success_count bigint not null default 0,
      last_failure_time bigint not null default 0,
      last_state_change bigint not null default 0,
      version bigint not null default 0,
      probe_count integer not null default 0,
      probe_expires_at bigint not null default 0,
      updated_at bigint not null default 0,
      recent_failures bigint[] not null default '{}',
      forced_state text,
      forced_at bigint,
      forced_until bigint,
      forced_reason text
    ) with (
      fillfactor = 50,
      autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_threshold = 500,
      autovacuum_vacuum_cost_delay = 0,
      autovacuum_analyze_scale_factor = 0.2,
      autovacuum_analyze_threshold = 5000
    );
  else
    remark := obj_description('"stoma_circuit_breakers"'::regclass, 'pg_class');
    found_version := coalesce(substring(remark from '@circuit-breaker/postgres schema ([0-9]+)')::integer, 0);
    if found_version > 1 then
      raise exception 'schema version % is newer than 1', found_version
        using errcode = 'CB001';
    end if;
    if found_version = 1 then
      return;
    end if;
    -- Asked this way because a query of the catalogue sees it as it was before the lock was got,
    -- in a transaction isolation above read committed.
    begin
      perform key, state, failure_count, success_count, last_failure_time, last_state_change from "stoma_circuit_breakers" limit 0;
    exception when undefined_column then
      raise exception 'the table exists and is not a circuit breaker table'
        using errcode = 'CB002';
    end;
    alter table "stoma_circuit_breakers" set (
      fillfactor = 50,
      autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_threshold = 500,
      autovacuum_vacuum_cost_delay = 0,
      autovacuum_analyze_scale_factor = 0.2,
      autovacuum_analyze_threshold = 5000
    );
    alter table "stoma_circuit_breakers"
      alter column key type text collate "C",
      alter column failure_count type bigint,
      alter column success_count type bigint,
      add column if not exists version bigint not null default 0,
      add column if not exists probe_count integer not null default 0,
      add column if not exists probe_expires_at bigint not null default 0,
      add column if not exists updated_at bigint not null default 0,
      add column if not exists recent_failures bigint[] not null default '{}',
      add column if not exists forced_state text,
      add column if not exists forced_at bigint,
      add column if not exists forced_until bigint,
      add column if not exists forced_reason text;
    update "stoma_circuit_breakers"
    set updated_at = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
    where updated_at = 0;
  end if;
  remark := concat_ws(E'\n', nullif(trim(E'\n' from regexp_replace(remark, '@circuit-breaker/postgres schema [0-9]+', '')), ''), '@circuit-breaker/postgres schema 1');
  execute format('comment on table "stoma_circuit_breakers" is %L', remark);
end
$migration$
