do $migration$
declare
  found_version integer;
  remark text;
  home name;
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
      forced_reason text,
      changes bigint[] not null default '{}'
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
    if found_version > 2 then
      raise exception 'schema version % is newer than 2', found_version
        using errcode = 'CB001';
    end if;
    if found_version = 2 then
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
      add column if not exists forced_reason text,
      add column if not exists changes bigint[] not null default '{}';
    update "stoma_circuit_breakers"
    set updated_at = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
    where updated_at = 0;
  end if;
  select space.nspname into home
  from pg_class as class join pg_namespace as space on space.oid = class.relnamespace
  where class.oid = '"stoma_circuit_breakers"'::regclass;
  if to_regprocedure(format('%I.circuit_breaker_changed()', home)) is null then
    execute format(
      'create function %I.circuit_breaker_changed() returns trigger language plpgsql as %L',
      home, '
declare
  circuit record;
  version bigint := 0;
begin
  if TG_OP = ''DELETE'' then
    circuit := old;
  else
    circuit := new;
    version := new.version;
  end if;
  perform pg_notify(
    ''circuit_breaker_'' || TG_RELID,
    left(encode(sha256(convert_to(circuit.key, ''UTF8'')), ''hex''), 32) || '' '' || version
  );
  if TG_OP <> ''UPDATE'' then
    return null;
  end if;
  new.changes := (array[new.version, new.updated_at, case
    when new.forced_state is not null and coalesce(new.updated_at < new.forced_until, true)
      then case new.forced_state when ''open'' then 1 else 0 end
    when new.state = ''open'' then 1
    when new.state = ''half-open'' then 2
    else 0 end] || old.changes)[1:48];
  return new;
end'
    );
  end if;
  drop trigger if exists circuit_breaker_moved on "stoma_circuit_breakers";
  execute format(
    'create trigger circuit_breaker_moved before update of version on %s for each row when (%s) execute function %I.circuit_breaker_changed()',
    '"stoma_circuit_breakers"'::regclass, 'old.version is distinct from new.version', home
  );
  drop trigger if exists circuit_breaker_made on "stoma_circuit_breakers";
  execute format(
    'create trigger circuit_breaker_made after insert on %s for each row when (%s) execute function %I.circuit_breaker_changed()',
    '"stoma_circuit_breakers"'::regclass, 'new.version > 0', home
  );
  drop trigger if exists circuit_breaker_gone on "stoma_circuit_breakers";
  execute format(
    'create trigger circuit_breaker_gone after delete on %s for each row when (%s) execute function %I.circuit_breaker_changed()',
    '"stoma_circuit_breakers"'::regclass, '(old.version > 0 or old.failure_count > 0) and coalesce(current_setting(''circuit_breaker.silence'', true), '''') <> ''on''', home
  );
  remark := concat_ws(E'\n', nullif(trim(E'\n' from regexp_replace(remark, '@circuit-breaker/postgres schema [0-9]+', '')), ''), '@circuit-breaker/postgres schema 2');
  execute format('comment on table "stoma_circuit_breakers" is %L', remark);
end
$migration$
