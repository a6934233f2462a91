/**
 * Schema 3 as data: what `migrate` makes and compares with the server's catalogue, and what `check()`
 * looks for. Each list stands here once.
 */

import { BACKOFF_COLUMNS } from "../rules/backoff.ts";
import { COUNTING_COLUMNS } from "../rules/counting.ts";
import { FORCING_COLUMNS } from "../rules/forcing.ts";
import { LOGGING_COLUMNS, UNLOGGED_INDEX } from "../rules/logging.ts";
import { MOVING_COLUMNS } from "../rules/moving.ts";
import { PROBING_COLUMNS } from "../rules/probing.ts";
import { REFUSING_COLUMNS } from "../rules/refusing.ts";
import { TRIPPING_COLUMNS } from "../rules/tripping.ts";
import { VOTING_COLUMNS } from "../rules/voting.ts";

/** The version of the schema that this release makes. */
export const SCHEMA_VERSION = 3;

/** The id of the row of the instances that stands for the table and its background work. */
export const TOKEN_ID = "token";

/** What the token's row says of the table, before the number of its schema. */
export const TOKEN_LIBRARY = "schema ";

/** What schema 3 consists of, beside indexes. */
export type Part = "circuits" | "changes" | "instances" | "epoch" | "versions" | Views;

/** The views for people. */
export type Views = "overview" | "timeline";

/** One column, as SQL and in the words in which the server's catalogue prints it. */
export interface Column {
  readonly name: string;
  /** The column in a `create table`. */
  readonly definition: string;
  readonly type: string;
  readonly isCollatedC: boolean;
  readonly isRequired: boolean;
  /** The default, as `pg_get_expr` prints it. */
  readonly default: string | undefined;
}

/** An index, by what it is and not by its name. */
export interface Index {
  readonly columns: readonly string[];
  readonly isUnique: boolean;
  /** The condition of a partial index, as `pg_get_expr` prints it. */
  readonly condition?: string;
}

/** A table of schema 3. */
export interface Table {
  readonly part: Part;
  readonly columns: readonly Column[];
  /** The column of the primary key. The log has none: nothing may wait for a uniqueness check. */
  readonly primaryKey?: string;
  readonly indexes: readonly Index[];
  readonly storage: readonly string[];
  /** Whether a crash of the server empties it. */
  readonly isUnlogged: boolean;
  /** A condition that its rows keep. */
  readonly check?: string;
}

/** Columns of the circuits that the original table has too. */
const ORIGINAL: readonly string[] = [
  `key text collate "C" not null`,
  "state text not null default 'closed'",
  "failure_count bigint not null default 0",
  "success_count bigint not null default 0",
  "last_failure_time bigint not null default 0",
  "last_state_change bigint not null default 0",
];

/** The names of the columns that the original table has too. */
export const ORIGINAL_COLUMNS: readonly string[] = ORIGINAL.map(nameOf);

/** Columns added to the original's, all with defaults so that its rows stay valid. */
export const ADDED_COLUMNS: readonly string[] = [
  ...MOVING_COLUMNS,
  ...LOGGING_COLUMNS,
  ...PROBING_COLUMNS,
  ...BACKOFF_COLUMNS,
  "updated_at bigint not null default 0",
  ...COUNTING_COLUMNS,
  ...FORCING_COLUMNS,
  ...TRIPPING_COLUMNS,
  ...VOTING_COLUMNS,
  ...REFUSING_COLUMNS,
];

/**
 * Half of every page stays free, so that the new version of an updated row fits on the same page (a
 * HOT update: the server does not touch the index, and can clean the page without vacuum). Vacuum
 * starts after a fixed number of dead rows instead of a share of the table, and does not pause.
 */
const UPDATED_STORAGE: readonly string[] = [
  "fillfactor=50",
  "autovacuum_vacuum_scale_factor=0",
  "autovacuum_vacuum_threshold=500",
  "autovacuum_vacuum_cost_delay=0",
  "autovacuum_analyze_scale_factor=0.2",
  "autovacuum_analyze_threshold=5000",
];

/**
 * Rows of the log are written once and deleted by pruning. Pages stay full. Vacuum starts after a fixed
 * number of deleted rows, so that the log does not outgrow what it keeps, and marks pages of new rows
 * early.
 */
const LOG_STORAGE: readonly string[] = [
  "autovacuum_vacuum_scale_factor=0",
  "autovacuum_vacuum_threshold=2000",
  "autovacuum_vacuum_insert_scale_factor=0",
  "autovacuum_vacuum_insert_threshold=10000",
  "autovacuum_vacuum_cost_delay=0",
  "autovacuum_analyze_scale_factor=0.1",
  "autovacuum_analyze_threshold=5000",
];

/** The tables, the circuits first. */
export const TABLES: readonly Table[] = [
  {
    part: "circuits",
    columns: [...ORIGINAL, ...ADDED_COLUMNS].map(toColumn),
    primaryKey: "key",
    indexes: [
      { columns: ["forced_until"], isUnique: false, condition: "(forced_until IS NOT NULL)" },
      { columns: ["logged_state"], isUnique: false, condition: UNLOGGED_INDEX },
    ],
    storage: UPDATED_STORAGE,
    isUnlogged: false,
  },
  {
    part: "changes",
    columns: [
      "version bigint not null",
      "xid xid8 not null default '0'",
      `key text collate "C" not null`,
      "at bigint not null",
      "from_state text not null",
      "to_state text not null",
      "cause text not null",
      "actor text not null default ''",
      "role text not null default ''",
      "reason text",
      "failure_count bigint not null default 0",
      "success_count bigint not null default 0",
    ].map(toColumn),
    indexes: [["version"], ["xid"], ["key", "version"], ["at", "version"]]
      .map((columns) => ({ columns, isUnique: false })),
    storage: LOG_STORAGE,
    isUnlogged: false,
  },
  {
    part: "instances",
    columns: [
      "id text not null",
      "label text not null default ''",
      "library text not null default ''",
      "bound_ms bigint not null default 0",
      "seen_at bigint not null default 0",
      "flush bigint not null default 0",
      "left_over text[] not null default '{}'",
      "pruned_xid xid8",
    ].map(toColumn),
    primaryKey: "id",
    indexes: [],
    storage: UPDATED_STORAGE,
    isUnlogged: false,
  },
  {
    part: "epoch",
    columns: ["one boolean not null default true", "id text not null"].map(toColumn),
    primaryKey: "one",
    indexes: [],
    storage: [],
    isUnlogged: true,
    check: "one",
  },
];

/** What a role needs at run time, beside `usage` on the schema. */
export const PRIVILEGES: Readonly<Record<Part, readonly string[]>> = {
  circuits: ["select", "insert", "update", "delete"],
  changes: ["select", "insert", "delete"],
  instances: ["select", "insert", "update", "delete"],
  epoch: ["select", "insert"],
  versions: ["usage"],
  overview: ["select"],
  timeline: ["select"],
};

/** What stands for each part in the server's catalogue. */
export const KINDS: Readonly<Record<Part, "r" | "S" | "v">> = {
  circuits: "r",
  changes: "r",
  instances: "r",
  epoch: "r",
  versions: "S",
  overview: "v",
  timeline: "v",
};

/** What a name can stand for in the server's catalogue, in words for messages. */
export const KIND_NAMES: Readonly<Record<string, string>> = {
  c: "a composite type",
  f: "a foreign table",
  i: "an index",
  I: "a partitioned index",
  m: "a materialized view",
  p: "a partitioned table",
  r: "a table",
  S: "a sequence",
  v: "a view",
};

/** The words for anything else. */
export const OTHER_KIND = "no ordinary table";

/** All parts, the circuits first. */
export const PARTS: readonly Part[] = Object.keys(KINDS) as Part[];

function nameOf(definition: string): string {
  return definition.split(" ")[0]!;
}

function toColumn(definition: string): Column {
  const [, name, type, collation, required, value] = definition.match(
    /^(\w+) ([\w[\]]+)( collate "C")?( not null)?(?: default (.+))?$/,
  )!;
  return {
    name: name!,
    definition,
    type: type!,
    isCollatedC: collation !== undefined,
    isRequired: required !== undefined,
    default: value?.startsWith("'") ? `${value}::${type}` : value,
  };
}
