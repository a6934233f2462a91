import { COUNTING_COLUMNS } from "../rules/counting.ts";
import { FORCING_COLUMNS } from "../rules/forcing.ts";
import { MOVING_COLUMNS } from "../rules/moving.ts";
import { PROBING_COLUMNS } from "../rules/probing.ts";
import { changeTriggers } from "./change_triggers.ts";
import type { TableName } from "./identifier.ts";
import { parseTableName, quoteLiteral } from "./identifier.ts";

/** The version of the schema that this release makes. */
export const SCHEMA_VERSION = 2;

/** SQLSTATE that the migration raises for a schema newer than {@linkcode SCHEMA_VERSION}. */
export const NEWER_SCHEMA = "CB001";

/** SQLSTATE that the migration raises for a table that is not a circuit breaker table. */
export const FOREIGN_TABLE = "CB002";

/** The remark on the table, up to the number of its schema. */
export const SCHEMA_REMARK = "@circuit-breaker/postgres schema ";

/** Columns the original table has too. */
export const ORIGINAL_COLUMNS: readonly string[] = [
  "key",
  "state",
  "failure_count",
  "success_count",
  "last_failure_time",
  "last_state_change",
];

/** Columns added to the original's, all with defaults so that its rows stay valid. */
export const ADDED_COLUMNS: readonly string[] = [
  ...MOVING_COLUMNS,
  ...PROBING_COLUMNS,
  "updated_at bigint not null default 0",
  ...COUNTING_COLUMNS,
  ...FORCING_COLUMNS,
  "changes bigint[] not null default '{}'",
];

/**
 * Half of every page stays free, so that the new version of an updated row fits on the same page (a
 * HOT update: the server does not touch the index, and can clean the page without vacuum). Vacuum
 * starts after a fixed number of dead rows instead of a share of the table, and does not pause.
 */
const STORAGE = [
  "fillfactor = 50",
  "autovacuum_vacuum_scale_factor = 0",
  "autovacuum_vacuum_threshold = 500",
  "autovacuum_vacuum_cost_delay = 0",
  "autovacuum_analyze_scale_factor = 0.2",
  "autovacuum_analyze_threshold = 5000",
];

/**
 * Returns the schema as the one SQL statement that `migrate` runs, for a DBA who applies it. The
 * statement creates the table, or upgrades an existing one and keeps its rows. It does nothing to a
 * table that is up to date. It refuses a schema that is newer than this release.
 *
 * @param table A table name, `table` or `schema.table`; the schema must exist.
 * @default {"stoma_circuit_breakers"}
 * @returns One `do` statement without parameters.
 * @throws {TypeError} If the name is not a string.
 * @throws {RangeError} If PostgreSQL cannot hold the name.
 *
 * @example Printing it for a review
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { schemaSql } from "@circuit-breaker/postgres";
 *
 * assertStringIncludes(schemaSql("ops.breakers"), 'create table "ops"."breakers"');
 * ```
 */
export function schemaSql(table = "stoma_circuit_breakers"): string {
  return migrationStatement(parseTableName("write schema", table));
}

/** The migration as one statement, which is atomic through any client and pool. */
export function migrationStatement(table: TableName): string {
  const body = migrationBody(table);
  let tag = "$migration$";
  while (body.includes(tag)) tag = tag.replace(/\$$/, "_$");
  return `do ${tag}\n${body}\n${tag}`;
}

function migrationBody(table: TableName): string {
  const { quoted, literal } = table;
  const marker = SCHEMA_REMARK;
  return `declare
  found_version integer;
  remark text;
  home name;
begin
  -- Instances that start together take turns; all but the first then find nothing left to do.
  perform pg_advisory_xact_lock(hashtextextended(${quoteLiteral("@circuit-breaker/postgres")}, 0));
  if to_regclass(${literal}) is null then
    create table ${quoted} (
      key text collate "C" primary key,
      state text not null default 'closed',
      failure_count bigint not null default 0,
      success_count bigint not null default 0,
      last_failure_time bigint not null default 0,
      last_state_change bigint not null default 0,
      ${ADDED_COLUMNS.join(",\n      ")}
    ) with (
      ${STORAGE.join(",\n      ")}
    );
  else
    remark := obj_description(${literal}::regclass, 'pg_class');
    found_version := coalesce(substring(remark from '${marker}([0-9]+)')::integer, 0);
    if found_version > ${SCHEMA_VERSION} then
      raise exception 'schema version % is newer than ${SCHEMA_VERSION}', found_version
        using errcode = '${NEWER_SCHEMA}';
    end if;
    if found_version = ${SCHEMA_VERSION} then
      return;
    end if;
    -- Asked this way because a query of the catalogue sees it as it was before the lock was got,
    -- in a transaction isolation above read committed.
    begin
      perform ${ORIGINAL_COLUMNS.join(", ")} from ${quoted} limit 0;
    exception when undefined_column then
      raise exception 'the table exists and is not a circuit breaker table'
        using errcode = '${FOREIGN_TABLE}';
    end;
    alter table ${quoted} set (
      ${STORAGE.join(",\n      ")}
    );
    alter table ${quoted}
      alter column key type text collate "C",
      alter column failure_count type bigint,
      alter column success_count type bigint,
      ${ADDED_COLUMNS.map((column) => `add column if not exists ${column}`).join(",\n      ")};
    update ${quoted}
    set updated_at = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
    where updated_at = 0;
  end if;
  ${changeTriggers(table)}
  remark := concat_ws(E'\\n', nullif(trim(E'\\n' from regexp_replace(remark, '${marker}[0-9]+', '')), ''), '${marker}${SCHEMA_VERSION}');
  execute format('comment on table ${
    quoted.replaceAll("%", "%%").replaceAll("'", "''")
  } is %L', remark);
end`;
}
