/** What the tables say of circuits, read by plain SQL. */

import type postgres from "postgres";
import type { Change } from "./chain.ts";

/** A row of the circuits table. */
export interface RowFacts {
  state: string;
  version: number;
  failures: number;
  successes: number;
  lastFailure: number;
  changedAt: number;
  probes: number;
  leaseEnd: number;
  settled: number;
  inRow: number;
  openMs: number;
  failedRounds: number;
  forced: string | null;
  forcedUntil: number | null;
  votes: string[] | null;
  seen: number[] | null;
  voters: string[] | null;
  muted: string[] | null;
}

/** A row of the log. */
export interface LogFacts extends Change {
  key: string;
  actor: string;
  reason: string | null;
}

/** What is known of one circuit after a step: its row, and what the step has logged. */
export interface Facts {
  row: RowFacts;
  log: LogFacts[];
}

/** A circuit without a row. */
export const ABSENT: RowFacts = {
  state: "closed",
  version: 0,
  failures: 0,
  successes: 0,
  lastFailure: 0,
  changedAt: 0,
  probes: 0,
  leaseEnd: 0,
  settled: 0,
  inRow: 0,
  openMs: 0,
  failedRounds: 0,
  forced: null,
  forcedUntil: null,
  votes: null,
  seen: null,
  voters: null,
  muted: null,
};

/** Reads the circuits whose keys begin with a prefix, and their log from a version on. */
export class FactReader {
  readonly #sql: postgres.Sql;
  #version = 0;

  constructor(sql: postgres.Sql) {
    this.#sql = sql;
  }

  async read(prefix: string): Promise<(key: string) => Facts> {
    const [found] = await this.#sql`select coalesce((
        select json_object_agg(key, json_build_object(
          'state', state, 'version', version, 'failures', failure_count, 'successes', success_count,
          'lastFailure', last_failure_time, 'changedAt', last_state_change, 'probes', probe_count,
          'leaseEnd', probe_expires_at, 'settled', probe_settled, 'inRow', probe_successes,
          'openMs', reset_ms, 'failedRounds', failed_rounds, 'forced', forced_state,
          'forcedUntil', forced_until, 'votes', vote_labels, 'seen', vote_seen, 'voters', voters,
          'muted', muted)) from stoma_circuit_breakers where starts_with(key, ${prefix})
      ), '{}')::text as rows, coalesce((
        select json_agg(json_build_object('key', key, 'version', version, 'at', at,
          'from', from_state, 'to', to_state, 'cause', cause, 'actor', actor, 'reason', reason)
          order by version) from stoma_circuit_breakers_changes where version > ${this.#version}
      ), '[]')::text as log`;
    const rows = new Map(Object.entries(JSON.parse(found!.rows) as Record<string, RowFacts>));
    const log = JSON.parse(found!.log) as LogFacts[];
    this.#version = log.at(-1)?.version ?? this.#version;
    const byKey = Map.groupBy(log, ({ key }) => key);
    return (key) => ({ row: rows.get(key) ?? ABSENT, log: byKey.get(key) ?? [] });
  }
}
