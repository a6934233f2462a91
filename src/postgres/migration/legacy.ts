/** What earlier schemas left in a database, and how the migration takes it away. As plpgsql. */

import { effectiveStateSql } from "../../rules/forcing.ts";

/** The function of schema 2, which its triggers run. */
export const LEGACY_FUNCTION = "circuit_breaker_changed";

const LEGACY_TRIGGERS = "('circuit_breaker_moved', 'circuit_breaker_made', 'circuit_breaker_gone')";

/** The line that earlier schemas wrote into the comment on the table. */
const REMARK = "@circuit-breaker/postgres schema [0-9]+";

const NOW = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** Failures of the original's circuits that are older, in milliseconds, are forgotten. */
const RECENT_MS = 600_000;

/** Statements that plan the removal of triggers, function, column and remark. */
export const REMOVE_LEGACY: string = `
    for item in
      select trigger.tgname, trigger.tgfoid
      from pg_trigger as trigger join pg_proc as function on function.oid = trigger.tgfoid
      where trigger.tgrelid = circuits and not trigger.tgisinternal
        and function.proname = '${LEGACY_FUNCTION}' and trigger.tgname in ${LEGACY_TRIGGERS}
    loop
      functions := array_append(functions, item.tgfoid);
      plan := array_append(plan, format('drop trigger %I on %s', item.tgname, circuits_name));
      needs_lock := true;
    end loop;
    -- Tables of one schema shared the function.
    for item in
      select function.oid::regprocedure::text as signature from pg_proc as function
      where (function.oid = any(functions) or function.pronamespace = (
          select oid from pg_namespace where nspname = home
        ))
        and function.proname = '${LEGACY_FUNCTION}' and function.pronargs = 0
        and function.prorettype = 'trigger'::regtype and function.prosrc like '%circuit_breaker_%'
        and function.proowner = owner
        and not exists (select from pg_trigger where tgfoid = function.oid)
    loop
      plan := array_append(plan, format('drop function %s', item.signature));
    end loop;
    if exists (
      select from pg_attribute where attrelid = circuits and attname = 'changes'
        and atttypid = 'bigint[]'::regtype and not attisdropped
    ) then
      plan := array_append(plan, format('alter table %s drop column changes', circuits_name));
      needs_lock := true;
    end if;
    remark := obj_description(circuits, 'pg_class');
    if remark ~ '${REMARK}' then
      plan := array_append(plan, format('comment on table %s is %L', circuits_name,
        nullif(btrim(regexp_replace(remark, '${REMARK}', '', 'g'), E' \\n'), '')));
    end if;`;

/**
 * Statements that plan what becomes of the rows when columns are added. The circuits of the original
 * store could never open, so their failures mean nothing unless they are recent.
 */
export const FILL_ADDED_COLUMNS: string = `
    if circuits is not null then
      select array_agg(attname::text) into columns from pg_attribute
      where attrelid = circuits and attnum > 0 and not attisdropped;
      if not array['version', 'updated_at'] && columns then
        plan := array_append(plan, format(
          'update %s set failure_count = 0
           where state = ''closed'' and failure_count > 0 and last_failure_time < ${NOW} - ${RECENT_MS}',
          circuits_name
        ));
      end if;
      if not 'opened_at' = any(columns) then
        plan := array_append(plan, format(
          'update %s set opened_at = last_state_change where state in (''open'', ''half-open'')',
          circuits_name
        ));
      end if;
      if not 'logged_state' = any(columns) then
        plan := array_append(plan, format(
          'update %1$s as circuit set logged_state = moment.state
           from (
             select key, ${effectiveStateSql("c", NOW).replaceAll("'", "''")} as state
             from %1$s as c
           ) as moment
           where moment.key = circuit.key and moment.state <> circuit.logged_state',
          circuits_name
        ));
      end if;
      if not 'version' = any(columns) and changes is not null then
        plan := array_append(plan, format(
          'update %s as circuit set version = last.version
           from (select key, max(version) as version from %s group by key) as last
           where last.key = circuit.key',
          circuits_name, changes_name
        ));
      end if;
    end if;`;
