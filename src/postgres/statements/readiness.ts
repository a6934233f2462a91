/**
 * The server's view of a table and of a role's privileges on it, in one statement: the SQL, its
 * result, and the decoder.
 *
 * A role without any privilege may run it, because catalogues are open to all. `to_regclass` is not
 * used: it fails, or finds nothing, where the schema's usage is missing. Functions, operators and
 * types carry their schema, so that nothing in the search path can replace them.
 */

import { describe } from "../../describe.ts";
import { CircuitBreakerStoreError } from "../../errors.ts";
import { rowsOf } from "../client_contract.ts";

/** What stands under the name of the table. */
export interface FoundRelation {
  readonly schema: string;
  readonly name: string;
  /** The catalogue's letter: `r` for an ordinary table. */
  readonly kind: string;
  readonly columns: readonly string[];
  readonly remark: string | null;
  /** Whether the role may use the schema. */
  readonly hasUsage: boolean;
  /** Which of {@linkcode PRIVILEGES} the role lacks, in their order. */
  readonly missingPrivileges: readonly string[];
  /** Whether row level security applies to the role. */
  readonly isRowSecurityActive: boolean;
  /** The policies that apply to the role; empty without row level security. */
  readonly policies: readonly FoundPolicy[];
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
  /** `null` where nothing has the name. */
  readonly relation: FoundRelation | null;
}

/** What the store needs on the table. */
export const PRIVILEGES: readonly string[] = ["select", "insert", "update", "delete"];

/** Has an underscore, as names of the store's columns may have: a driver that renames them shows. */
const COLUMN = "circuit_breaker_readiness";

/**
 * Parameters: the quoted table name. Returns one row with one text, which comes back the same from
 * every driver. A name without a schema is what the search path makes of it; a table that the path
 * passes over, because the role may not use its schema, comes second.
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
  select class.oid, class.relkind, class.relname, space.oid as space, space.nspname
  from wanted
  join pg_catalog.pg_class as class on class.relname operator(pg_catalog.=) wanted.name
  join pg_catalog.pg_namespace as space on space.oid operator(pg_catalog.=) class.relnamespace,
  lateral (select case when wanted.schema is not null
      then space.nspname operator(pg_catalog.=) wanted.schema
    else pg_catalog.pg_table_is_visible(class.oid) end as is_reached) as reach
  where is_reached or wanted.schema is null
    and not pg_catalog.has_schema_privilege(space.oid, 'usage')
    and exists (select from path where path.schema operator(pg_catalog.=) space.nspname)
  order by is_reached desc, space.nspname
  limit 1
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
  'relation', (select pg_catalog.json_build_object(
    'schema', found.nspname,
    'name', found.relname,
    'kind', found.relkind::pg_catalog.text,
    'columns', array(
      select attname::pg_catalog.text from pg_catalog.pg_attribute
      where attrelid operator(pg_catalog.=) found.oid
        and attnum operator(pg_catalog.>) 0 and not attisdropped
    ),
    'remark', pg_catalog.obj_description(found.oid, 'pg_class'),
    'hasUsage', pg_catalog.has_schema_privilege(found.space, 'usage'),
    'missingPrivileges', array(
      select privilege
      from pg_catalog.unnest(
        array['${PRIVILEGES.join("', '")}']::pg_catalog.text[]
      ) with ordinality as needed (privilege, place)
      where not pg_catalog.has_table_privilege(found.oid, privilege)
      order by place
    ),
    'isRowSecurityActive', pg_catalog.row_security_active(found.oid),
    'policies', array(
      select pg_catalog.json_build_object(
        'name', policy.polname,
        'command', policy.polcmd::pg_catalog.text,
        'isPermissive', policy.polpermissive,
        'using', pg_catalog.pg_get_expr(policy.polqual, policy.polrelid),
        'withCheck', pg_catalog.pg_get_expr(policy.polwithcheck, policy.polrelid)
      )
      from pg_catalog.pg_policy as policy
      where policy.polrelid operator(pg_catalog.=) found.oid
        and pg_catalog.row_security_active(found.oid)
        -- Role 0 is PUBLIC.
        and exists (
          select from pg_catalog.unnest(policy.polroles) as member (role)
          where member.role operator(pg_catalog.=) 0::pg_catalog.oid
            or pg_catalog.pg_has_role(member.role, 'usage')
        )
      order by policy.polname
    )
  ) from found)
)::pg_catalog.text as ${COLUMN}
from wanted, pg_catalog.pg_settings as setting
where setting.name operator(pg_catalog.=) 'default_transaction_read_only'`;

/** What a client's answer says, or an error that says how the client must answer instead. */
export function toReadiness(answer: unknown): Readiness {
  const [row] = rowsOf(answer);
  const text = row?.[COLUMN];
  if (typeof text === "string") return JSON.parse(text);
  throw new CircuitBreakerStoreError(
    `Cannot check: "client" must run the statement that it is given and return rows with the names ` +
      `and values of their columns, received ${describe(text)} as "${COLUMN}"`,
  );
}
