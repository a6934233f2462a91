/** The log against the rows: each change is logged once, in the statement that makes it. */

import {
  type AuditedLogRow,
  type AuditRow,
  FOREIGN_WRITER,
  isOf,
  type RecordedRun,
} from "../recorded.ts";
import { rowsByKey, versionOf } from "./timeline.ts";

/** What a key without a row is. */
const ABSENT = { version: 0, loggedState: "closed", effective: "closed" } as const;

/** Why a statement logs something before its own change. */
const NOTICED: readonly string[] = ["expiry", "external"];

/** Changes that the log does not have once, or has differently. */
export function logProblems(run: RecordedRun): string[] {
  const logged = rowsByKey(run.log);
  const rows = rowsByKey(run.rows);
  const problems: string[] = [];
  for (const key of new Set([...logged.keys(), ...rows.keys()])) {
    problems.push(...circuitProblems(key, rows.get(key) ?? [], logged.get(key) ?? []));
  }
  return problems;
}

function* circuitProblems(
  key: string,
  rows: readonly AuditRow[],
  entries: readonly AuditedLogRow[],
): Generator<string> {
  const log = entries.toSorted((a, b) => a.version - b.version);
  yield* chainProblems(key, log);
  let next = 0;
  let before: { version: number; loggedState: string; effective: string } = ABSENT;
  for (const row of rows) {
    if (row.isDeleted) {
      if (before.effective !== "closed" && row.writer !== FOREIGN_WRITER) {
        yield `${key}: ${row.writer} removed a circuit that was ${before.effective}`;
      }
      before = ABSENT;
      continue;
    }
    const after = {
      version: versionOf(row),
      loggedState: row.loggedState,
      effective: effectiveOf(row),
    };
    const moment = `${key} version ${after.version} by ${row.writer}`;
    if (after.version < before.version) yield `${moment}: after version ${before.version}`;
    if (after.version !== before.version) {
      const first = next;
      while (next < log.length && log[next]!.version <= after.version) next++;
      yield* entryProblems(moment, row, log.slice(first, next));
      // A state that was forced for a while can have ended while its statement ran.
      const isForced = row.forcedUntil !== null && row.forcedState === row.loggedState;
      if (after.loggedState !== after.effective && !isForced) {
        yield `${moment}: logged as ${after.loggedState}, is ${after.effective}`;
      }
    } else if (after.loggedState !== before.loggedState) {
      yield `${moment}: logged state ${after.loggedState} without a version`;
    } else if (after.effective !== before.effective && row.writer !== FOREIGN_WRITER) {
      // A state that was forced until a moment has ended by itself.
      if (row.forcedUntil === null) yield `${moment}: ${after.effective} without a version`;
    }
    before = after;
  }
  for (const { version } of log.slice(next)) yield `${key} version ${version}: no row had it`;
  yield* foreignProblems(key, rows, log);
}

/** Each row of the log begins where the one before ended. */
function* chainProblems(key: string, log: readonly AuditedLogRow[]): Generator<string> {
  let before = { version: 0, to: "closed" };
  for (const entry of log) {
    const moment = `${key} version ${entry.version}`;
    if (entry.version === before.version) yield `${moment}: in the log again`;
    if (entry.from !== before.to) yield `${moment}: from ${entry.from}, after ${before.to}`;
    before = entry;
  }
}

/** The log of one statement: its change, and before it what the statement noticed of others. */
function* entryProblems(
  moment: string,
  row: AuditRow,
  entries: readonly AuditedLogRow[],
): Generator<string> {
  const last = entries.at(-1);
  if (last?.version !== versionOf(row)) yield `${moment}: not in the log`;
  else if (last.to !== row.loggedState) {
    yield `${moment}: logged to ${last.to}, the row says ${row.loggedState}`;
  }
  if (entries.some(({ xid }) => xid !== row.xid)) yield `${moment}: logged in another transaction`;
  const noticed = entries.slice(0, -1);
  if (noticed.length > 1 || noticed.some(({ cause }) => !NOTICED.includes(cause))) {
    yield `${moment}: ${entries.map(({ cause }) => cause).join(" and ")} in the log at once`;
  }
}

/** What others did by plain SQL is logged, and no more often than they did it. */
function* foreignProblems(
  key: string,
  rows: readonly AuditRow[],
  log: readonly AuditedLogRow[],
): Generator<string> {
  const entries = log.filter(({ cause }) => cause === "external").length;
  const acts = rows.filter(({ writer }) => writer === FOREIGN_WRITER).length;
  if (entries > acts) yield `${key}: ${entries} times external in the log, of ${acts} acts`;
  const last = rows.at(-1);
  if (!isOf("foreign", key) || last === undefined || last.isDeleted) return;
  if (last.loggedState !== last.state && last.forcedState === null) {
    yield `${key}: is ${last.state} at the end, and the log says ${last.loggedState}`;
  }
}

/** The state that the fleet sees of a row when it is written. */
function effectiveOf(row: AuditRow): string {
  const isForced = row.forcedState !== null &&
    (row.forcedUntil === null || row.at < row.forcedUntil);
  return isForced ? row.forcedState! : row.state;
}
