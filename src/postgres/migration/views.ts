/** The views for people, and how the migration recognises them. */

import { effectiveStateSql, isForcedSql } from "../../rules/forcing.ts";
import { quoteLiteral } from "../identifier.ts";
import { HIDDEN_CAUSES, isBlankSql } from "../statements/read.ts";
import type { Views } from "../catalogue.ts";

const HIDDEN = `(${HIDDEN_CAUSES})`;

const NOW = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** A moment in epoch milliseconds as a timestamp; 0 is never. */
const time = (ms: string) => `to_timestamp(nullif(${ms}, 0) / 1000.0)`;

/** A view of schema 3. */
export interface View {
  readonly part: Views;
  /**
   * The alias of the table that the view reads first. The server keeps it in the definition, wherever a
   * dump brings the view. It ends in the edition of the view: another definition needs another one.
   */
  readonly edition: string;
  readonly columns: readonly string[];
  /** Which tables it reads. */
  readonly reads: readonly ("circuits" | "changes")[];
  /** The definition as an expression of plpgsql, which puts in the names of the tables. */
  readonly definition: string;
}

/** The views of schema 3. */
export const VIEWS: readonly View[] = [overview(), timeline()];

/** One line for each circuit that is not blank. */
function overview(): View {
  const edition = "circuit_overview_1";
  const row = edition;
  const isForced = isForcedSql(row, "moment.now");
  const whileForced = (value: string) => `case when ${isForced} then ${value} end`;
  const columns: [name: string, value: string][] = [
    ["key", `${row}.key`],
    ["state", effectiveStateSql(row, "moment.now")],
    [
      "since",
      time(`case when ${isForced} then ${row}.forced_at else ${row}.last_state_change end`),
    ],
    ["opened_at", time(`${row}.opened_at`)],
    ["failure_count", `${row}.failure_count`],
    ["success_count", `${row}.success_count`],
    ["forced_state", whileForced(`${row}.forced_state`)],
    ["forced_until", whileForced(time(`${row}.forced_until`))],
    ["forced_reason", whileForced(`${row}.forced_reason`)],
    ["forced_by", whileForced(`${row}.forced_by`)],
    ["cause", "last_change.cause"],
    ["actor", "last_change.actor"],
  ];
  return {
    part: "overview",
    edition,
    columns: columns.map(([name]) => name),
    reads: ["circuits", "changes"],
    definition: `${
      quoteLiteral(`select ${columns.map(([name, value]) => `${value} as ${name}`).join(",\n  ")}
from `)
    } || circuits_name || ${
      quoteLiteral(` as ${row}
cross join (select ${NOW} as now) as moment
left join lateral (
  select change.cause, change.actor from `)
    } || changes_name || ${
      quoteLiteral(` as change
  where change.key = ${row}.key and change.cause not in ${HIDDEN}
  order by change.version desc limit 1
) as last_change on true
where not ${isBlankSql(row)}`)
    }`,
  };
}

/** The log as people read it. */
function timeline(): View {
  const edition = "circuit_timeline_1";
  const columns = [
    "version",
    "key",
    "at",
    "from_state",
    "to_state",
    "cause",
    "actor",
    "role",
    "reason",
    "failure_count",
    "success_count",
  ];
  const values = columns.map((name) =>
    name === "at" ? `${time(`${edition}.at`)} as at` : `${edition}.${name}`
  );
  return {
    part: "timeline",
    edition,
    columns,
    reads: ["changes"],
    definition: `${quoteLiteral(`select ${values.join(", ")}\nfrom `)} || changes_name || ${
      quoteLiteral(` as ${edition} where ${edition}.cause not in ${HIDDEN}`)
    }`,
  };
}

/** The words of a view's definition that the server can print. Others were written by others. */
export function wordsOf(view: View): string[] {
  const printed =
    "select from as where join left lateral cross on true limit order by desc case when then else end " +
    "and or not in any array text bigint numeric double precision integer is null coalesce nullif " +
    "extract epoch clock_timestamp to_timestamp floor now moment change last_change closed open round " +
    "suspect zeroed half distinct date_part timestamp with time zone all";
  const own = view.definition.match(/[a-z_][a-z0-9_]*/g)!;
  return [...new Set([...printed.split(" "), ...own])];
}
