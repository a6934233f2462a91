/** The views for people, and how the migration recognises them. */

import { effectiveStateSql, isForcedSql } from "../../rules/forcing.ts";
import { standingLabelsSql } from "../../rules/voting.ts";
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
  /** What the columns mean, in their order: the comments on them. */
  readonly comments: readonly string[];
  /** Which tables it reads. */
  readonly reads: readonly ("circuits" | "changes")[];
  /** The definition as an expression of plpgsql, which puts in the names of the tables. */
  readonly definition: string;
}

/** The views of schema 3. */
export const VIEWS: readonly View[] = [overview(), timeline()];

/** One line for each circuit that is not blank. */
function overview(): View {
  const edition = "circuit_overview_2";
  const row = edition;
  const isForced = isForcedSql(row, "moment.now");
  const state = effectiveStateSql(row, "moment.now");
  const since = time(
    `case when ${isForced} then ${row}.forced_at else ${row}.last_state_change end`,
  );
  const whileForced = (value: string) => `case when ${isForced} then ${value} end`;
  const columns: [name: string, value: string, comment: string][] = [
    ["key", `${row}.key`, "The circuit's key as the table holds it"],
    ["state", state, "The state that the fleet sees: closed, open or half-open"],
    ["since", since, "Since when it is in this state, or forced"],
    [
      "age",
      `to_timestamp(moment.now / 1000.0) - ${since}`,
      "For how long it is in this state, or forced",
    ],
    [
      "opened_at",
      time(`${row}.opened_at`),
      "When the present outage of the upstream began; failed probes do not move it",
    ],
    [
      "retry_at",
      time(retryAt(row, isForced)),
      "From when on a request may be admitted; null where that is an option of the stores " +
      "(resetTimeoutMs without resetBackoff)",
    ],
    ["failure_count", `${row}.failure_count`, "How many failures count"],
    ["success_count", `${row}.success_count`, "How many successes count"],
    [
      "refused_count",
      `${row}.refused_count`,
      "How many requests were refused since it was last closed",
    ],
    [
      "votes",
      standingLabelsSql(row, "moment.now"),
      "The instances whose votes for opening it stand",
    ],
    ["forced_state", whileForced(`${row}.forced_state`), "What an operator forces on it"],
    [
      "forced_until",
      whileForced(time(`${row}.forced_until`)),
      "When that ends by itself; null for never",
    ],
    ["forced_reason", whileForced(`${row}.forced_reason`), "Why, in the operator's words"],
    ["forced_by", whileForced(`${row}.forced_by`), "Who forced it"],
    ["cause", "last_change.cause", "Why it last changed"],
    ["actor", "last_change.actor", "Who changed it last, as the writer says"],
    ["role", "last_change.role", "The database role that wrote that change"],
    ["reason", "last_change.reason", "The operator's reason for that change"],
  ];
  return {
    part: "overview",
    edition,
    columns: columns.map(([name]) => name),
    comments: columns.map(([, , comment]) => comment),
    reads: ["circuits", "changes"],
    definition: `${
      quoteLiteral(`select ${columns.map(([name, value]) => `${value} as ${name}`).join(",\n  ")}
from `)
    } || circuits_name || ${
      quoteLiteral(` as ${row}
cross join (select ${NOW} as now) as moment
left join lateral (
  select change.cause, change.actor, change.role, change.reason from `)
    } || changes_name || ${
      quoteLiteral(` as change
  where change.key = ${row}.key and change.cause not in ${HIDDEN}
  order by change.version desc limit 1
) as last_change on true
where not ${isBlankSql(row)} or ${row}.vote_labels is not null`)
    }`,
  };
}

/** From when on a row admits a request, as far as the row says. */
function retryAt(row: string, isForced: string): string {
  return `case when ${isForced} then case when ${row}.forced_state = 'open' then ${row}.forced_until end
    when ${row}.state = 'half-open' then ${row}.probe_expires_at
    when ${row}.state = 'open' and ${row}.reset_ms > 0 then ${row}.last_state_change + ${row}.reset_ms
    end`;
}

/** The log as people read it. */
function timeline(): View {
  const edition = "circuit_timeline_1";
  const columns: [name: string, comment: string][] = [
    ["version", "The version that the circuit reached; it only grows"],
    ["key", "The circuit's key as the table holds it"],
    ["at", "When, by the clock that decides"],
    ["from_state", "The state before"],
    ["to_state", "The state after"],
    ["cause", "Why: trip, vote, probe, manual, force, release, expiry, reset or external"],
    ["actor", "Who, as the writer says: an operator, or the label of an instance"],
    ["role", "The database role of the writer's session"],
    ["reason", "The operator's reason"],
    ["failure_count", "How many failures counted when it changed"],
    ["success_count", "How many successes counted when it changed"],
  ];
  const values = columns.map(([name]) =>
    name === "at" ? `${time(`${edition}.at`)} as at` : `${edition}.${name}`
  );
  return {
    part: "timeline",
    edition,
    columns: columns.map(([name]) => name),
    comments: columns.map(([, comment]) => comment),
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
    "suspect zeroed half distinct date_part timestamp with time zone all c";
  const own = view.definition.match(/[a-z_][a-z0-9_]*/g)!;
  return [...new Set([...printed.split(" "), ...own])];
}
