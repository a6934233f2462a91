/**
 * The migration as one `do` statement, which is atomic through any client and pool. It repeats two
 * steps until nothing is left to do: it compares the server's catalogue with the schema, and it runs
 * the statements that make up the differences.
 *
 * - Where the first comparison finds nothing, the statement takes no lock and writes nothing.
 * - Otherwise it locks the table of the circuits against other migrations (`share update exclusive`,
 *   which live traffic does not notice) and compares again.
 * - Where the table itself must change, it locks out all other statements. A lock that it cannot get in
 *   time ends the statement, and its caller sends it again after a pause.
 *
 * While it runs, the search path is `pg_catalog`: nothing in the user's schemas can stand for a
 * function, operator or type. The names of tables are resolved before, as the role's path has them.
 */

import { PARTS } from "../catalogue.ts";
import { quoteLiteral, type TableName } from "../identifier.ts";
import { type GrantedRole, planGrants } from "./grants.ts";
import { FILL_ADDED_COLUMNS, REMOVE_LEGACY } from "./legacy.ts";
import {
  DEPENDENT_VIEWS,
  FOREIGN_OBJECT,
  NOT_REPAIRED,
  refuseForeignCode,
  refuseForeignObjects,
  refuseForeignTable,
  shownSql,
} from "./refusals.ts";
import { PLAN_ROWS } from "./rows.ts";
import { planColumns, planIndexes, planMissing } from "./tables.ts";
import { planComments, planViews } from "./views_plan.ts";

/** How the migration is written. */
export interface MigrationSettings {
  /** How long live traffic may wait for it, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** The role that gets the privileges of run time. */
  readonly grantTo?: GrantedRole | undefined;
  /** Whether the statement changes nothing and fails with what it would do first, by {@linkcode PLANNED}. */
  readonly isDryRun?: boolean;
}

/** SQLSTATE of a dry run that has something to do. Its message is an array of statements, as JSON. */
export const PLANNED = "CB007";

/** How often the statement may compare and repair. Each repair needs three or four at most. */
const MAX_ROUNDS = 12;

/** How long it waits for other migrations, in milliseconds. Live traffic does not wait meanwhile. */
const TURN_MS = 10_000;

/** What a session meets that repairs the same as another one; the last is "tuple concurrently updated". */
const LOST_RACE = [
  "unique_violation",
  "duplicate_table",
  "duplicate_object",
  "duplicate_column",
  "undefined_table",
  "undefined_column",
  "undefined_object",
  "undefined_function",
  "internal_error",
].join(" or ");

/** The migration as one statement. */
export function migrationStatement(table: TableName, settings: MigrationSettings): string {
  return doStatement(migrationBody(table, settings));
}

/** A body of plpgsql as a `do` statement. */
export function doStatement(body: string): string {
  let tag = "$migration$";
  while (body.includes(tag)) tag = tag.replace(/\$$/, "_$");
  return `do ${tag}\n${body}\n${tag}`;
}

/** Declarations that resolve the names; `home` is the schema of the table. */
export function declareNames(table: TableName): string {
  return `parts pg_catalog.text[] := pg_catalog.parse_ident(${table.literal});
  old_path pg_catalog.text := pg_catalog.current_setting('search_path');
  old_lock_timeout pg_catalog.text := pg_catalog.current_setting('lock_timeout');
  home pg_catalog.name := pg_catalog.current_schema();
  circuits pg_catalog.oid := pg_catalog.to_regclass(${table.literal});
  ${
    PARTS.filter((part) => part !== "circuits").map((part) => `${part} pg_catalog.oid;`).join(
      "\n  ",
    )
  }
  ${PARTS.map((part) => `${part}_name pg_catalog.text;`).join("\n  ")}
  owner pg_catalog.oid;
  item pg_catalog.record;`;
}

/** Statements that find the schema of the table, and name everything in it. */
export function resolveNames(table: TableName): string {
  const names = PARTS.map((part) =>
    `${part}_name := format('%I.%I', home, (parse_ident(${
      nameOf(table, part).literal
    }))[cardinality(parts)]);`
  );
  return `perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if circuits is not null then
    home := (
      select space.nspname from pg_class as class
      join pg_namespace as space on space.oid = class.relnamespace where class.oid = circuits
    );
  elsif cardinality(parts) > 1 then
    home := parts[1];
  end if;
  if home is null or not exists (select from pg_namespace where nspname = home) then
    raise exception using errcode = '3F000', message = 'the schema does not exist';
  end if;
  ${names.join("\n  ")}`;
}

/** Statements that look up what is there. */
export const FIND_PARTS: string = [
  ...PARTS.map((part) => `${part} := to_regclass(${part}_name);`),
  `owner := coalesce(
      (select relowner from pg_class where oid = circuits),
      (select oid from pg_roles where rolname = current_user)
    );`,
].join("\n    ");

function nameOf(table: TableName, part: typeof PARTS[number]) {
  return part === "circuits" ? table : table[part];
}

function migrationBody(
  table: TableName,
  { lockTimeoutMs, grantTo, isDryRun = false }: MigrationSettings,
): string {
  const { shown } = table;
  // The lock on the circuits may take most of the time; live traffic already waits when others follow.
  const firstLockMs = Math.max(1, Math.floor(lockTimeoutMs * 0.75));
  const laterLockMs = Math.max(1, Math.floor(lockTimeoutMs / 20));
  return `declare
  ${declareNames(table)}
  plan pg_catalog.text[];
  made pg_catalog.text[];
  needs_lock pg_catalog.bool;
  is_locked pg_catalog.bool := false;
  is_found pg_catalog.bool;
  has_unseen pg_catalog.bool;
  functions pg_catalog.oid[] := '{}';
  columns pg_catalog.text[];
  highest pg_catalog.int8;
  grantee pg_catalog.oid;
  remark pg_catalog.text;
  problem pg_catalog.text;
  code pg_catalog.text;
  statement pg_catalog.text;
begin
  ${resolveNames(table)}
  for round in 1 .. ${MAX_ROUNDS} loop
    ${FIND_PARTS}
    plan := '{}';
    made := '{}';
    needs_lock := false;
    problem := null;${refuseForeignObjects(shown)}
    if problem is null then${indented(refuseForeignTable(shown))}
    end if;
    if problem is null then${indented(refuseForeignCode(shown))}
    end if;
    if problem is not null then
      raise exception using errcode = code, message = problem;
    end if;${REMOVE_LEGACY}${planMissing()}${planColumns(FILL_ADDED_COLUMNS)}${planIndexes()}
    if cardinality(plan) = 0 then${indented(planViews())}
    end if;
    if cardinality(plan) = 0 then${indented(planComments())}
    end if;
    if cardinality(plan) = 0 then${indented(PLAN_ROWS)}
    end if;${
    grantTo === undefined ? "" : `
    if cardinality(plan) = 0 then${indented(planGrants(grantTo))}
    end if;`
  }
    exit when cardinality(plan) = 0;${
    isDryRun
      ? `
    raise exception using errcode = '${PLANNED}', message = array_to_json(plan)::text;`
      : ""
  }
    if round = ${MAX_ROUNDS} then
      raise exception using errcode = '${NOT_REPAIRED}',
        message = ${
    quoteLiteral(`the table ${shown} differs again after each repair, at last by: `)
  }
          || plan[1];
    end if;
    if circuits is not null and not is_locked then
      perform set_config('lock_timeout', '${TURN_MS}', true);
      execute format('lock table %s in share update exclusive mode', circuits_name);
      perform set_config('lock_timeout', '${firstLockMs}', true);
      is_locked := true;
      -- Another migration may have done it all meanwhile.
      continue;
    end if;
    if instances is not null and current_setting('transaction_isolation') <> 'read committed' then
      -- This transaction cannot see what others did since it began. Where another one migrated, this
      -- update fails, and the caller begins again.
      execute format('update %s set id = id where id::text = ''token''', instances_name);
    end if;
    if circuits is not null and needs_lock then
      execute format('lock table %s in access exclusive mode', circuits_name);
      perform set_config('lock_timeout', '${laterLockMs}', true);
    end if;
    begin
      foreach statement in array plan loop
        execute statement;
      end loop;
    exception when feature_not_supported or dependent_objects_still_exist then
      select string_agg(distinct ${shownSql("view.relname::text")}, ', ') into problem
      from pg_depend as held
      join pg_rewrite as rule on held.classid = 'pg_rewrite'::regclass and rule.oid = held.objid
      join pg_class as view on view.oid = rule.ev_class
      where held.refclassid = 'pg_class'::regclass
        and held.refobjid in (circuits, changes, overview, timeline) and rule.ev_class <> held.refobjid
        and rule.ev_class is distinct from overview and rule.ev_class is distinct from timeline;
      if problem is null then
        raise;
      end if;
      raise exception using errcode = '${DEPENDENT_VIEWS}', message = ${
    quoteLiteral(`the table ${shown} must change, and views of others hold on to it (`)
  } || problem || '): drop them, migrate, and make them again';
    when ${LOST_RACE} then
      -- Another session made the same thing first, also one that runs this statement by hand.
      if round >= ${
    MAX_ROUNDS - 1
  } or current_setting('transaction_isolation') <> 'read committed' then
        raise;
      end if;
      continue;
    end;
    -- A table that this transaction made is locked by that.
    if not is_locked then
      perform set_config('lock_timeout', '${firstLockMs}', true);
      is_locked := true;
    end if;
    -- All parts belong to the owner of the circuits.
    if circuits is not null and owner <> (select oid from pg_roles where rolname = current_user) then
      foreach statement in array made loop
        execute format('alter table %s owner to %I', statement, pg_get_userbyid(owner));
      end loop;
    end if;
  end loop;
  perform set_config('lock_timeout', old_lock_timeout, true);
  perform set_config('search_path', old_path, true);
  -- Statements of the store name the parts as they name the table.
  for item in
    select part.name from (values ${
    PARTS.map((part) =>
      `(pg_catalog.to_regclass(${
        nameOf(table, part).literal
      })::pg_catalog.oid, ${part}, ${part}_name)`
    ).join(",\n      ")
  }) as part (seen, id, name)
    where part.seen is null or part.seen operator(pg_catalog.<>) part.id
  loop
    raise exception using errcode = '${FOREIGN_OBJECT}', message = pg_catalog.concat(
      'the search path of the role hides a part of the table ',
      ${quoteLiteral(shown)}::pg_catalog.text,
      ', name the table with its schema, or drop what has the same name in another schema'::pg_catalog.text
    );
  end loop;
end`;
}

function indented(sql: string): string {
  return sql.replaceAll("\n", "\n  ");
}
