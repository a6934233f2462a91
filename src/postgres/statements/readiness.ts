/**
 * The server's view of the tables and of a role's privileges on them, in one statement: the SQL, its
 * result, and the decoder. A second statement asks the tables themselves.
 *
 * A role without any privilege may run the first, because catalogues are open to all. `to_regclass` is not
 * used: it fails, or finds nothing, where the schema's usage is missing. Functions, operators and
 * types carry their schema, so that nothing in the search path can replace them.
 */

import { describe } from "../../describe.ts";
import { CircuitBreakerStoreError } from "../../errors.ts";
import { type Part, PARTS, PRIVILEGES, TOKEN_ID } from "../catalogue.ts";
import { rowsOf } from "../client_contract.ts";
import type { TableName } from "../identifier.ts";

/** What stands under the name of one part of the schema. */
export interface FoundPart {
  readonly part: Part;
  readonly schema: string;
  readonly name: string;
  /** The catalogue's letter: `r` for an ordinary table. */
  readonly kind: string;
  readonly owner: string;
  readonly columns: readonly (readonly [name: string, type: string])[];
  /** Columns that a unique index of their own keeps apart. */
  readonly keys: readonly string[];
  /** Which of {@linkcode PRIVILEGES} the role lacks, in their order. */
  readonly missingPrivileges: readonly string[];
  /** Whether the statements of the store, which name it as they name the table, reach another object. */
  readonly isHidden: boolean;
  /** Whether row level security applies to the role. */
  readonly isRowSecurityActive: boolean;
  /** The policies that apply to the role; empty without row level security. */
  readonly policies: readonly FoundPolicy[];
  /** Rules, and triggers that can change or stop a statement or run code of other roles. */
  readonly intruders: readonly (readonly [kind: string, name: string])[];
  /** Whether a sequence counts as versions must: in steps of one, without a cache or a circle. */
  readonly isPlainSequence: boolean;
}

/** A policy of row level security. */
export interface FoundPolicy {
  readonly name: string;
  /** `r` select, `a` insert, `w` update, `d` delete, `*` all. */
  readonly command: string;
  readonly isPermissive: boolean;
  /** The expressions as the server prints them, `null` where the policy has none. */
  readonly using: string | null;
  readonly withCheck: string | null;
}

/** Everything that the statement returns. */
export interface Readiness {
  readonly role: string;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  /** Whether `default_transaction_read_only` is on, and where that was set, in the server's words. */
  readonly isReadOnlyByDefault: boolean;
  readonly readOnlySource: string;
  /** Whether the named schema exists; true for a name without a schema. */
  readonly hasSchema: boolean;
  /** Whether the role may use the schema of the table. */
  readonly hasUsage: boolean;
  /** What is there, the table of the circuits first; empty where nothing has its name. */
  readonly parts: readonly FoundPart[];
}

/** Has an underscore, as names of the store's columns may have: a driver that renames them shows. */
const COLUMN = "circuit_breaker_readiness";

/**
 * Parameters: the quoted names of the parts, in the order of `PARTS`. Returns one row with one text,
 * which comes back the same from every driver. A name without a schema is what the search path makes of
 * it; a table that the path passes over, because the role may not use its schema, comes second. The
 * other parts stand in the schema of the table.
 */
export const READINESS_STATEMENT: string = `with wanted as (
  select parts[pg_catalog.cardinality(parts)]::pg_catalog.name as name,
    case when pg_catalog.cardinality(parts) operator(pg_catalog.>) 1 then parts[1] end as schema
  from pg_catalog.parse_ident($1::pg_catalog.text) as parts
), path as (
  select coalesce(
      case when unquoted operator(pg_catalog.=) '$user' then current_user::pg_catalog.text end,
      unquoted
    ) as schema
  from pg_catalog.regexp_matches(
    pg_catalog.current_setting('search_path'), '"((?:[^"]|"")*)"|([^",[:space:]]+)', 'g'
  ) as entry,
  lateral (select coalesce(
    pg_catalog.replace(entry[1], '""', '"'), pg_catalog.lower(entry[2])
  ) as unquoted) as name
), found as (
  select class.oid, class.relowner, space.oid as space, space.nspname, reach.is_reached
  from wanted
  join pg_catalog.pg_class as class on class.relname operator(pg_catalog.=) wanted.name
  join pg_catalog.pg_namespace as space on space.oid operator(pg_catalog.=) class.relnamespace,
  lateral (select case when wanted.schema is not null
      then space.nspname operator(pg_catalog.=) wanted.schema
    else pg_catalog.pg_table_is_visible(class.oid) end as is_reached) as reach
  where reach.is_reached or wanted.schema is null
    and not pg_catalog.has_schema_privilege(space.oid, 'usage')
    and exists (select from path where path.schema operator(pg_catalog.=) space.nspname)
  order by reach.is_reached desc, space.nspname
  limit 1
), part as (
  select place, part, privileges, class.oid, class.relkind, class.relname, class.relowner,
    found.relowner as owner, found.nspname, found.is_reached and wanted.schema is null as by_path
  from wanted cross join found cross join (values
    ${
  PARTS.map((part, i) =>
    `(${i}, '${part}'::pg_catalog.text, $${i + 1}::pg_catalog.text, ` +
    `array['${PRIVILEGES[part].join("', '")}']::pg_catalog.text[])`
  ).join(",\n    ")
}
  ) as named (place, part, quoted, privileges)
  cross join lateral pg_catalog.parse_ident(named.quoted) as ident
  join pg_catalog.pg_class as class on case when named.place operator(pg_catalog.=) 0
    then class.oid operator(pg_catalog.=) found.oid
    else class.relnamespace operator(pg_catalog.=) found.space and class.relname
      operator(pg_catalog.=) ident[pg_catalog.cardinality(ident)]::pg_catalog.name end
)
select pg_catalog.json_build_object(
  'role', current_user::pg_catalog.text,
  'isStandby', pg_catalog.pg_is_in_recovery(),
  'isReadOnly', pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on',
  'isReadOnlyByDefault', setting.setting operator(pg_catalog.=) 'on',
  'readOnlySource', setting.source,
  'hasSchema', wanted.schema is null or exists (
    select from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) wanted.schema
  ),
  'hasUsage', coalesce(
    (select pg_catalog.has_schema_privilege(found.space, 'usage') from found), false
  ),
  'parts', array(select pg_catalog.json_build_object(
    'part', part.part,
    'schema', part.nspname,
    'name', part.relname,
    'kind', part.relkind::pg_catalog.text,
    'owner', pg_catalog.pg_get_userbyid(part.relowner),
    'columns', array(
      select pg_catalog.json_build_array(attname, pg_catalog.format_type(atttypid, atttypmod))
      from pg_catalog.pg_attribute
      where attrelid operator(pg_catalog.=) part.oid
        and attnum operator(pg_catalog.>) 0 and not attisdropped
      order by attnum
    ),
    'keys', array(
      select attname::pg_catalog.text
      from pg_catalog.pg_index join pg_catalog.pg_attribute
        on attrelid operator(pg_catalog.=) indrelid and attnum operator(pg_catalog.=) indkey[0]
      where indrelid operator(pg_catalog.=) part.oid and indnkeyatts operator(pg_catalog.=) 1
        and indisunique and indimmediate and indisvalid and indpred is null and indexprs is null
    ),
    'missingPrivileges', array(
      select privilege
      from pg_catalog.unnest(part.privileges) with ordinality as needed (privilege, rank)
      where not case when part.relkind operator(pg_catalog.=) 'S'::pg_catalog."char"
          and privilege operator(pg_catalog.=) 'usage'
          then pg_catalog.has_sequence_privilege(part.oid, 'usage')
        when privilege operator(pg_catalog.=) 'usage' then true
        else pg_catalog.has_table_privilege(part.oid, privilege) end
      order by rank
    ),
    'isHidden', part.by_path and not pg_catalog.pg_table_is_visible(part.oid),
    'isRowSecurityActive', pg_catalog.row_security_active(part.oid),
    'policies', array(
      select pg_catalog.json_build_object(
        'name', policy.polname,
        'command', policy.polcmd::pg_catalog.text,
        'isPermissive', policy.polpermissive,
        'using', pg_catalog.pg_get_expr(policy.polqual, policy.polrelid),
        'withCheck', pg_catalog.pg_get_expr(policy.polwithcheck, policy.polrelid)
      )
      from pg_catalog.pg_policy as policy
      where policy.polrelid operator(pg_catalog.=) part.oid
        and pg_catalog.row_security_active(part.oid)
        -- Role 0 is PUBLIC.
        and exists (
          select from pg_catalog.unnest(policy.polroles) as member (role)
          where member.role operator(pg_catalog.=) 0::pg_catalog.oid
            or pg_catalog.pg_has_role(member.role, 'usage')
        )
      order by policy.polname
    ),
    'intruders', array(
      select pg_catalog.json_build_array(kind, name) from (
        select 'trigger'::pg_catalog.text as kind, tgname as name
        from pg_catalog.pg_trigger join pg_catalog.pg_proc as routine
          on routine.oid operator(pg_catalog.=) tgfoid
        where tgrelid operator(pg_catalog.=) part.oid and not tgisinternal
          -- Bits 1 and 6: before, and instead of.
          and ((tgtype::pg_catalog.int4 operator(pg_catalog.&) 66) operator(pg_catalog.>) 0
            or routine.proowner operator(pg_catalog.<>) part.owner
              and not (select rolsuper from pg_catalog.pg_roles as owner
                where owner.oid operator(pg_catalog.=) routine.proowner))
        union all
        select 'rule', rulename from pg_catalog.pg_rewrite
        where ev_class operator(pg_catalog.=) part.oid
          and rulename operator(pg_catalog.<>) '_RETURN'::pg_catalog.name
      ) as intruder
      order by kind, name
    ),
    'isPlainSequence', exists (
      select from pg_catalog.pg_sequence
      where seqrelid operator(pg_catalog.=) part.oid
        and seqtypid operator(pg_catalog.=) 20::pg_catalog.oid
        and seqincrement operator(pg_catalog.=) 1 and seqcache operator(pg_catalog.=) 1
        and not seqcycle
    )
  ) from part order by place)
)::pg_catalog.text as ${COLUMN}
from wanted, pg_catalog.pg_settings as setting
where setting.name operator(pg_catalog.=) 'default_transaction_read_only'`;

/**
 * What the tables say of themselves. It needs the privileges of run time. The log holds the latest
 * version, unless it is empty: then the circuits are asked, which have no index for it.
 */
export function contentStatement(table: TableName): string {
  return `select pg_catalog.json_build_object(
  'library', (select library from ${table.instances.quoted}
    where id operator(pg_catalog.=) '${TOKEN_ID}'::pg_catalog.text),
  'lastVersion', coalesce(
    pg_catalog.pg_sequence_last_value(${table.versions.literal}::pg_catalog.regclass),
    0::pg_catalog.int8
  ),
  'highestVersion', coalesce(
    (select max(version) from ${table.changes.quoted}),
    (select max(greatest(version, zeroed_version)) from ${table.quoted}),
    0::pg_catalog.int8
  )
)::pg_catalog.text as ${COLUMN}`.replaceAll(" max(", " pg_catalog.max(");
}

/** What {@linkcode contentStatement} returns. */
export interface Content {
  /** What the token's row says of the table, `null` without one. */
  readonly library: string | null;
  readonly lastVersion: number;
  readonly highestVersion: number;
}

/** What a client's answer says, or an error that says how the client must answer instead. */
export function toReadiness(answer: unknown): Readiness {
  return parseAnswer(answer) as Readiness;
}

/** The same of what the tables say. */
export function toContent(answer: unknown): Content {
  return parseAnswer(answer) as Content;
}

function parseAnswer(answer: unknown): unknown {
  const [row] = rowsOf(answer);
  const text = row?.[COLUMN];
  if (typeof text === "string") return JSON.parse(text);
  throw new CircuitBreakerStoreError(
    `Cannot check: "client" must run the statement that it is given and return rows with the names ` +
      `and values of their columns, received ${describe(text)} as "${COLUMN}"`,
  );
}
