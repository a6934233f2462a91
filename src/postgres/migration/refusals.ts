/**
 * What the migration refuses, as plpgsql. Nothing has been changed when it raises. Messages show names
 * of objects only where they are plain words: others could hold a secret or harm a terminal.
 */

import {
  ADDED_COLUMNS,
  KIND_NAMES,
  KINDS,
  ORIGINAL_COLUMNS,
  OTHER_KIND,
  type Part,
  PARTS,
  SCHEMA_VERSION,
  TABLES,
  TOKEN_ID,
  TOKEN_LIBRARY,
} from "../catalogue.ts";
import { quoteLiteral } from "../identifier.ts";
import { LEGACY_FUNCTION } from "./legacy.ts";
import { VIEWS, wordsOf } from "./views.ts";

/** SQLSTATE of the migration for a schema newer than {@linkcode SCHEMA_VERSION}. */
export const NEWER_SCHEMA = "CB001";

/** SQLSTATE of the migration for a table that is not a circuit breaker table. */
export const FOREIGN_TABLE = "CB002";

/** SQLSTATE of the migration for an object of others that has one of our names. */
export const FOREIGN_OBJECT = "CB003";

/** SQLSTATE of the migration for a table of others that runs code as its users. */
export const FOREIGN_CODE = "CB004";

/** SQLSTATE of the migration for views of others that hold on to columns. */
export const DEPENDENT_VIEWS = "CB005";

/** SQLSTATE of the migration for what it cannot make right. */
export const NOT_REPAIRED = "CB006";

/** All of them: their messages are sentences for people. */
export const REFUSALS: readonly string[] = [
  NEWER_SCHEMA,
  FOREIGN_TABLE,
  FOREIGN_OBJECT,
  FOREIGN_CODE,
  DEPENDENT_VIEWS,
  NOT_REPAIRED,
];

/** An SQL expression for a name in a message. */
export function shownSql(name: string): string {
  return `case when ${name} ~ '^[A-Za-z0-9_$-]{1,63}$' then '"' || ${name} || '"' ` +
    `else '(a name of ' || length(${name})::text || ' characters)' end`;
}

function kindSql(kind: string): string {
  const cases = Object.entries(KIND_NAMES).map(([letter, name]) =>
    `when '${letter}' then '${name}'`
  );
  return `case ${kind}::text ${cases.join(" ")} else '${OTHER_KIND}' end`;
}

/** The conditions of our partial indexes, as the server prints them where they call nothing of others. */
const OWN_CONDITIONS = TABLES.flatMap(({ indexes }) => indexes)
  .flatMap(({ condition }) => condition === undefined ? [] : [quoteLiteral(condition)])
  .join(", ");

const texts = (values: readonly string[]) =>
  `array[${values.map((value) => quoteLiteral(value)).join(", ")}]::text[]`;

/** Statements that raise for objects of other kinds and owners. */
export function refuseForeignObjects(shown: string): string {
  const parts = (value: (part: Part) => string) =>
    PARTS.map((part) => `(${value(part)})`).join(", ");
  return `
    select case
        when class.relkind <> part.kind and part.is_circuits then ${
    quoteLiteral(`the table ${shown} exists and is not a circuit breaker table, use another name`)
  }
        when class.relkind <> part.kind then ${shownSql("class.relname::text")} || ' is ' || ${
    kindSql("class.relkind")
  } || ' and not ' || ${kindSql("part.kind")} || ', drop or rename it, or use another name'
        else ${shownSql("class.relname::text")} || ' belongs to ' || ${
    shownSql("pg_get_userbyid(class.relowner)::text")
  } || ' and not to ' || ${shownSql("pg_get_userbyid(owner)::text")} || ', as the table ' || ${
    quoteLiteral(shown)
  } || ' does, drop or rename it, or use another name'
      end,
      case when class.relkind <> part.kind and part.is_circuits then '${FOREIGN_TABLE}'
        else '${FOREIGN_OBJECT}' end
    into problem, code
    from (values ${
    parts((part) => `${part}, '${KINDS[part]}'::"char", ${part === "circuits"}`)
  }) as part (id, kind, is_circuits)
    join pg_class as class on class.oid = part.id
    where class.relkind <> part.kind or class.relowner <> owner
    limit 1;
    if problem is null then
      select 'the type ' || ${
    shownSql("type.typname::text")
  } || ' has a name that a table needs, drop or rename it, or use another name', '${FOREIGN_OBJECT}'
      into problem, code
      from (values ${parts((part) => `${part}, ${part}_name`)}) as part (id, name)
      join pg_type as type on type.oid = to_regtype(part.name)
      -- The type of a table is of one that another migration has made since the names were looked up.
      where part.id is null and type.typelem = 0::oid and type.typrelid = 0::oid
      limit 1;
    end if;`;
}

/** Statements that raise for a table of the circuits with other columns, and for a newer schema. */
export function refuseForeignTable(shown: string): string {
  const names = [...ORIGINAL_COLUMNS, ...ADDED_COLUMNS.map((column) => column.split(" ")[0]!)];
  return `
    if circuits is not null and (
      select count(*) < ${ORIGINAL_COLUMNS.length} or not coalesce(bool_or(attname = 'key'), false)
      from pg_attribute
      where attrelid = circuits and attnum > 0 and not attisdropped
        and attname::text = any(${texts(names)})
    ) then
      problem := ${
    quoteLiteral(`the table ${shown} exists and is not a circuit breaker table, use another name`)
  };
      code := '${FOREIGN_TABLE}';
    end if;
    if instances is not null and has_table_privilege(instances, 'select') and (
      select count(*) = 2 from pg_attribute
      where attrelid = instances and attname in ('id', 'library') and not attisdropped
    ) then
      execute format('select max(library::text) from %s where id::text = %L', instances_name, '${TOKEN_ID}')
      into remark;
      if coalesce(substring(remark from '^${TOKEN_LIBRARY}([0-9]{1,9})$')::integer, 0) > ${SCHEMA_VERSION} then
        problem := ${quoteLiteral(`the table ${shown} is of a newer release (`)} || remark || ${
    quoteLiteral(`), this one knows schema ${SCHEMA_VERSION}: upgrade this package`)
  };
        code := '${NEWER_SCHEMA}';
      end if;
    end if;`;
}

/**
 * Statements that raise where the tables belong to a role that the current one has no reason to trust,
 * and run code as the role that uses them. A superuser counts only as itself here.
 */
export function refuseForeignCode(shown: string): string {
  const tables = `array_remove(array[${TABLES.map(({ part }) => part).join(", ")}]::oid[], null)`;
  const views = VIEWS.map((view) =>
    `select 'the view', class.relname::text, class.oid from pg_class as class
        where class.oid = ${view.part} and (exists (
          select from pg_depend as held join pg_rewrite as rule on rule.oid = held.objid
          where held.classid = 'pg_rewrite'::regclass and rule.ev_class = ${view.part}
            and held.refclassid <> 'pg_class'::regclass
        ) or exists (
          select from regexp_matches(
            lower(replace(replace(pg_get_viewdef(${view.part}), changes_name, ''), circuits_name, '')),
            '[a-z_][a-z0-9_]*', 'g'
          ) as word where word[1] <> all(${texts(wordsOf(view))})
        ))`
  );
  return `
    if not (select rolsuper from pg_roles where oid = owner) and owner not in (
      with recursive mine (role) as (
        select oid from pg_roles where rolname = current_user
        union
        select membership.roleid from pg_auth_members as membership
        join mine on membership.member = mine.role
      )
      select role from mine
    ) then
      select ${quoteLiteral(`the table ${shown} belongs to `)} || ${
    shownSql("pg_get_userbyid(owner)::text")
  } || ' and not to the current role, and ' || danger.kind
        || ' ' || ${shownSql("danger.name")} || ' of ' || ${
    shownSql("class.relname::text")
  } || ' can run code as the role that uses it, drop it, or migrate as the owner', '${FOREIGN_CODE}'
      into problem, code
      from (
        select 'the trigger' as kind, trigger.tgname::text as name, trigger.tgrelid as id
        from pg_trigger as trigger join pg_proc as function on function.oid = trigger.tgfoid
        where trigger.tgrelid = any(${tables}) and function.proname <> '${LEGACY_FUNCTION}'
        union all
        select 'the rule', rulename::text, ev_class from pg_rewrite where ev_class = any(${tables})
        union all
        select 'the policy', polname::text, polrelid from pg_policy where polrelid = any(${tables})
        union all
        select 'the parent or child', other.relname::text, table_id
        from unnest(${tables}) as one (table_id)
        join pg_inherits as kin on table_id in (kin.inhrelid, kin.inhparent)
        join pg_class as other on other.oid in (kin.inhrelid, kin.inhparent) and other.oid <> table_id
        union all
        select 'the constraint', conname::text, conrelid from pg_constraint
        where conrelid = any(${tables}) and contype in ('c', 'x')
          and not (conrelid = epoch and pg_get_constraintdef(oid) = 'CHECK (one)')
        union all
        select 'the default of', attribute.attname::text, attribute.attrelid
        from pg_attrdef as value
        join pg_attribute as attribute
          on attribute.attrelid = value.adrelid and attribute.attnum = value.adnum
        where value.adrelid = any(${tables}) and (attribute.attgenerated <> ''
          or value.adbin::text not like '{CONST %'
            and pg_get_expr(value.adbin, value.adrelid) !~ '^-?[0-9]+$')
        union all
        select 'the type of', attribute.attname::text, attribute.attrelid
        from pg_attribute as attribute join pg_type as type on type.oid = attribute.atttypid
        where attribute.attrelid = any(${tables}) and attribute.attnum > 0
          and not attribute.attisdropped and type.typnamespace <> 'pg_catalog'::regnamespace
        union all
        select 'the index', index.relname::text, entry.indrelid
        from pg_index as entry join pg_class as index on index.oid = entry.indexrelid
        where entry.indrelid = any(${tables}) and (entry.indexprs is not null
          or entry.indpred is not null
            and pg_get_expr(entry.indpred, entry.indrelid) not in (${OWN_CONDITIONS}))
        union all
        ${views.join("\n        union all\n        ")}
      ) as danger (kind, name, id)
      join pg_class as class on class.oid = danger.id
      limit 1;
    end if;`;
}
