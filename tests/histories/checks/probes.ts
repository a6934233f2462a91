/** Probes: never more callers than the rules admit in a round. */

import type { AuditRow, RecordedRun } from "../recorded.ts";
import { ROUNDING_MS, rowsByKey, versionOf } from "./timeline.ts";

/** Rounds that admitted more probes than the rules say, in the rows and by what callers saw. */
export function probeProblems(run: RecordedRun): string[] {
  const limit = Math.max(0, ...run.instances.map(({ halfOpenMax }) => halfOpenMax ?? 0));
  return [...rowProblems(run, limit), ...callerProblems(run, limit)];
}

function* rowProblems({ rows }: RecordedRun, limit: number): Generator<string> {
  for (const { key, probes, version } of rows) {
    if (probes > limit) yield `${key} version ${version}: ${probes} probes, of ${limit}`;
  }
}

/** A round of probes: from when it began until the next change. */
interface Round {
  since: number;
  version: number;
  admitted: number;
}

function* callerProblems(
  { rows, calls, instances }: RecordedRun,
  limit: number,
): Generator<string> {
  const exact = new Set(
    instances.filter((each) => each.halfOpenMax !== undefined && !each.isStepped)
      .map(({ name }) => name),
  );
  const rounds = new Map<string, Round[]>();
  for (const [key, own] of rowsByKey(rows)) rounds.set(key, roundsOf(own));
  for (const { instance, operation, key, fate, shown } of calls) {
    if (operation !== "getState" || fate !== "answered" || !exact.has(instance)) continue;
    if (shown?.state !== "half-open") continue;
    const own = rounds.get(key)?.filter(({ since }) => isNear(since, shown.since)) ?? [];
    if (own.length === 0) {
      yield `${instance} ${key}: admitted in a round since ${shown.since} that no row had`;
      continue;
    }
    // Where two rounds are too close to be distinguished, the emptier one.
    const round = own.reduce((one, other) => other.admitted < one.admitted ? other : one);
    if (++round.admitted > limit) {
      yield `${key} version ${round.version}: ${round.admitted} callers admitted, of ${limit}`;
    }
  }
}

function roundsOf(rows: readonly AuditRow[]): Round[] {
  const rounds: Round[] = [];
  for (const row of rows) {
    if (row.isDeleted || row.state !== "half-open") continue;
    const version = versionOf(row);
    const last = rounds.at(-1);
    if (last?.version === version && last.since === row.lastStateChange) continue;
    rounds.push({ since: row.lastStateChange, version, admitted: 0 });
  }
  return rounds;
}

function isNear(one: number, other: number): boolean {
  return Math.abs(one - other) <= ROUNDING_MS;
}
