/**
 * What the server says of itself and of the tables, for `doctor`: what every role may ask, and then what the
 * privileges of run time allow.
 * Functions, operators and types carry their schema, so that nothing in the search path can replace them.
 */

import { rowsOf } from "../client_contract.ts";
import { CircuitBreakerStoreError } from "../../errors.ts";
import { PARTS, TOKEN_ID } from "../catalogue.ts";
import type { SqlName, TableName } from "../identifier.ts";

const COLUMN = "circuit_breaker_facts";

/** Settings that can hurt. */
const SETTINGS: readonly string[] = [
  "autovacuum",
  "default_transaction_isolation",
  "fsync",
  "full_page_writes",
  "max_connections",
  "plan_cache_mode",
  "server_encoding",
  "server_version",
  "server_version_num",
  "statement_timeout",
  "synchronous_commit",
  "track_counts",
];

/** What the server says of itself. */
export interface ServerFacts {
  /** Its clock, in epoch milliseconds. */
  readonly now: number;
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly settings: Readonly<Record<string, string>>;
  readonly connections: number;
  /** How long the oldest transaction of this database has been open, in milliseconds, as far as it shows. */
  readonly oldestTransactionMs: number;
  /** How old the oldest prepared transaction of this database is, in milliseconds; 0 without one. */
  readonly oldestPreparedMs: number;
}

/** A table or another part of the schema. */
export interface PartFacts {
  readonly schema: string;
  readonly name: string;
  /** The bytes of the table without its indexes. */
  readonly bytes: number;
  /** What others put on it: kind and name. */
  readonly foreign: readonly (readonly [kind: string, name: string])[];
}

const AGE_MS = (since: string) =>
  `(extract(epoch from (pg_catalog.clock_timestamp() operator(pg_catalog.-) ${since}))
    operator(pg_catalog.*) 1000::pg_catalog.numeric)`;

/** The server's facts. It has no parameters. */
export const SERVER_FACTS_STATEMENT: string = `select pg_catalog.json_build_object(
  'now', pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp())
    operator(pg_catalog.*) 1000::pg_catalog.numeric),
  'role', current_user::pg_catalog.text,
  'isSuperuser', (select rolsuper from pg_catalog.pg_roles
    where rolname operator(pg_catalog.=) current_user),
  'settings', (select pg_catalog.json_object_agg(name, setting) from pg_catalog.pg_settings
    where name operator(pg_catalog.=) any (array['${SETTINGS.join("', '")}']::pg_catalog.text[])),
  'connections', (select pg_catalog.count(pid) from pg_catalog.pg_stat_activity
    where backend_type operator(pg_catalog.=) 'client backend'::pg_catalog.text),
  'oldestTransactionMs', coalesce((
    select pg_catalog.floor(${AGE_MS("pg_catalog.min(xact_start)")})
    from pg_catalog.pg_stat_activity
    where datname operator(pg_catalog.=) pg_catalog.current_database()
      and backend_type operator(pg_catalog.=) 'client backend'::pg_catalog.text
  ), 0),
  'oldestPreparedMs', coalesce((
    select pg_catalog.floor(${AGE_MS("pg_catalog.min(prepared)")})
    from pg_catalog.pg_prepared_xacts
    where database operator(pg_catalog.=) pg_catalog.current_database()
  ), 0)
)::pg_catalog.text as ${COLUMN}`;

/** What the catalogue says of the parts that there are. It names only what is found by the name of the table. */
export function partFactsStatement(table: TableName): string {
  const names = PARTS.map((part) => (part === "circuits" ? table : table[part]).literal);
  return `select pg_catalog.json_agg(pg_catalog.json_build_object(
  'schema', space.nspname,
  'name', class.relname,
  'bytes', case when class.relkind operator(pg_catalog.=) 'r'::pg_catalog."char"
    then pg_catalog.pg_table_size(class.oid::pg_catalog.regclass) else 0 end,
  'foreign', array(
    select pg_catalog.json_build_array(kind, name) from (
      select 'trigger'::pg_catalog.text as kind, tgname as name from pg_catalog.pg_trigger
      where tgrelid operator(pg_catalog.=) class.oid and not tgisinternal
      union all
      select 'rule'::pg_catalog.text, rulename from pg_catalog.pg_rewrite
      where ev_class operator(pg_catalog.=) class.oid
        and rulename operator(pg_catalog.<>) '_RETURN'::pg_catalog.name
      union all
      select 'policy'::pg_catalog.text, polname from pg_catalog.pg_policy
      where polrelid operator(pg_catalog.=) class.oid
        -- One that admits every row hides none: check() advises it.
        and not (polpermissive
          and coalesce(pg_catalog.pg_get_expr(polqual, polrelid), 'true'::pg_catalog.text)
            operator(pg_catalog.=) 'true'::pg_catalog.text
          and coalesce(pg_catalog.pg_get_expr(polwithcheck, polrelid), 'true'::pg_catalog.text)
            operator(pg_catalog.=) 'true'::pg_catalog.text)
    ) as found
    order by kind, name
  )
))::pg_catalog.text as ${COLUMN}
from (values ${names.map((name) => `(pg_catalog.to_regclass(${name}))`).join(", ")}) as part (id)
join pg_catalog.pg_class as class on class.oid operator(pg_catalog.=) part.id::pg_catalog.oid
join pg_catalog.pg_namespace as space on space.oid operator(pg_catalog.=) class.relnamespace`;
}

/** How many rows a table has. Only large tables are counted. */
export function rowCountStatement({ quoted }: Pick<SqlName, "quoted">): string {
  return `select pg_catalog.count(*)::pg_catalog.text as ${COLUMN} from ${quoted}`;
}

/** A circuit that is forced without an end. */
export interface EndlessForce {
  readonly key: string;
  readonly state: string;
  /** How long it has been in force, in milliseconds. */
  readonly ageMs: number;
}

/** Circuits that are forced without an end, as the view for people has them. */
export function endlessForcesStatement({ overview }: TableName): string {
  return `select pg_catalog.json_agg(pg_catalog.json_build_object(
  'key', endless.key,
  'state', endless.forced_state,
  'ageMs', pg_catalog.floor(${AGE_MS("endless.since")})
))::pg_catalog.text as ${COLUMN}
from (
  select key, forced_state, since from ${overview.quoted}
  where forced_state is not null and forced_until is null
  order by since
  limit 1000
) as endless`;
}

/** An instance, as its row says. */
export interface InstanceFacts {
  readonly label: string;
  readonly library: string;
  /** How long ago it was last seen, in milliseconds. */
  readonly unseenMs: number;
}

/** The instances that have a row. */
export function instanceFactsStatement({ instances }: TableName): string {
  return `select pg_catalog.json_agg(pg_catalog.json_build_object(
  'label', label,
  'library', library,
  'unseenMs', pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp())
    operator(pg_catalog.*) 1000::pg_catalog.numeric)
    operator(pg_catalog.-) seen_at::pg_catalog.numeric
) order by label)::pg_catalog.text as ${COLUMN}
from ${instances.quoted} where id operator(pg_catalog.<>) '${TOKEN_ID}'::pg_catalog.text`;
}

/** Decodes the answer of a statement; `null` where nothing has the name of the table. */
export function toFacts<Facts>(answer: unknown): Facts {
  const [row] = rowsOf(answer);
  const text = row?.[COLUMN];
  if (text === null) return [] as Facts;
  if (typeof text === "string") return JSON.parse(text);
  throw new CircuitBreakerStoreError("Cannot examine: the driver changed the server's answer");
}
