/**
 * The rows that the schema needs, and what a restore leaves behind: statements of plpgsql. They read the
 * tables, so they run once the tables are right. Each is left out where the role may not read.
 */

import { SCHEMA_VERSION, TOKEN_ID, TOKEN_LIBRARY } from "../catalogue.ts";

const NOW = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** The highest version in a table of each kind. */
const HIGHEST = `select greatest(
          (select max(greatest(version, zeroed_version)) from %1$s), (select max(version) from %2$s), 0
        )`;

/** Statements that plan the rows. */
export const PLAN_ROWS: string = `
    has_unseen := false;
    if has_table_privilege(circuits, 'select') and has_table_privilege(changes, 'select')
      and has_sequence_privilege(versions, 'usage, select')
    then
      -- The tables first: the sequence only goes on meanwhile. One pass over the circuits for all.
      execute format('select greatest(own.highest, (select max(version) from %2$s), 0), own.has_unseen
        from (
          select max(greatest(version, zeroed_version)) as highest, bool_or(updated_at = 0) as has_unseen
          from %1$s
        ) as own', circuits_name, changes_name) into highest, has_unseen;
      if coalesce(pg_sequence_last_value(versions), 0) < highest then
        needs_lock := true;
        plan := array_append(plan, format('select setval(%3$L::regclass, greatest(
          (${HIGHEST}), coalesce(pg_sequence_last_value(%3$L::regclass), 1)
        ))', circuits_name, changes_name, versions_name));
      end if;
    end if;
    if has_table_privilege(changes, 'select') then
      -- A transaction that has not begun cannot have written a row: its id is another cluster's.
      execute format('select exists (
          select from %s where xid >= pg_snapshot_xmax(pg_current_snapshot())
            and xid is distinct from pg_current_xact_id_if_assigned()
        )', changes_name) into is_found;
      if is_found then
        plan := array_append(plan, format('update %s set xid = ''0''
          where xid >= pg_snapshot_xmax(pg_current_snapshot())
            and xid is distinct from pg_current_xact_id_if_assigned()', changes_name));
      end if;
    end if;
    if has_table_privilege(instances, 'select') then
      execute format('select exists (select from %s where id = ''${TOKEN_ID}''
        and library = ''${TOKEN_LIBRARY}${SCHEMA_VERSION}'')', instances_name) into is_found;
      if not is_found then
        plan := array_append(plan, format('insert into %s as token (id, library)
          values (''${TOKEN_ID}'', ''${TOKEN_LIBRARY}${SCHEMA_VERSION}'')
          on conflict (id) do update set library = excluded.library', instances_name));
      end if;
    end if;
    if has_table_privilege(epoch, 'select') then
      execute format('select exists (select from %s)', epoch_name) into is_found;
      if not is_found then
        plan := array_append(plan, format('insert into %s (id) values (gen_random_uuid()::text)
          on conflict (one) do nothing', epoch_name));
      end if;
    end if;
    -- Rows that the original store made since the last migration: they look idle to pruning.
    if has_unseen and has_table_privilege(circuits, 'update')
      and current_setting('transaction_read_only') = 'off'
    then
      execute format('with idle as (
            select key from %1$s where updated_at = 0
            order by key collate "C" for no key update skip locked
          )
          update %1$s as circuit set updated_at = ${NOW}
          from idle where circuit.key = idle.key', circuits_name);
    end if;`;
