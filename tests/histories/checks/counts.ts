/**
 * Results against the audit: each that was acknowledged is counted once, and none is counted that was
 * not asked for.
 */

import { type AuditRow, isOf, type RecordedCall, type RecordedRun } from "../recorded.ts";
import { ROUNDING_MS, rowsByKey } from "./timeline.ts";

type Counter = "failures" | "successes";

/** What one instance did to one counter of one circuit. */
interface Tally {
  acknowledged: number;
  unknown: number;
  counted: number;
}

const COUNTERS: Partial<Record<RecordedCall["operation"], Counter>> = {
  recordFailure: "failures",
  recordSuccess: "successes",
};

/** Counters that do not have what was acknowledged, or have more than was asked for. */
export function countProblems(run: RecordedRun): string[] {
  const tallies = new Map<string, Tally>();
  const tallyOf = (instance: string, key: string, counter: Counter) => {
    const id = `${instance} ${counter} ${key}`;
    let tally = tallies.get(id);
    if (tally === undefined) {
      tallies.set(id, tally = { acknowledged: 0, unknown: 0, counted: 0 });
    }
    return tally;
  };
  for (const { instance, operation, key, fate } of run.calls) {
    const counter = COUNTERS[operation];
    if (counter === undefined) continue;
    const tally = tallyOf(instance, key, counter);
    if (fate === "answered") tally.acknowledged++;
    else if (fate === "unknown") tally.unknown++;
  }
  for (const [key, rows] of rowsByKey(run.rows)) {
    let before = { failures: 0, successes: 0 };
    for (const row of rows) {
      for (const counter of ["failures", "successes"] as const) {
        // A counter that fell was zeroed, by a statement that counts nothing.
        const added = row.isDeleted ? 0 : row[counter] - before[counter];
        if (added > 0) tallyOf(row.writer, key, counter).counted += added;
      }
      before = row.isDeleted ? { failures: 0, successes: 0 } : row;
    }
  }
  const problems: string[] = [];
  for (const instance of run.instances) {
    for (const [id, tally] of tallies) {
      const [name, counter, ...words] = id.split(" ");
      if (name !== instance.name) continue;
      const key = words.join(" ");
      const { acknowledged, unknown, counted } = tally;
      const isDeferred = counter === "successes" && instance.boundMs > 0;
      // Only where nothing zeroes them: successes between a close and the moment at which the instance
      // hears of it do not count. A key that is used in one interval only leaves no row.
      const isKept = !isDeferred || isOf("counted", key) && !instance.hasLostDeferred;
      if (counted > acknowledged + unknown || isKept && counted < acknowledged) {
        problems.push(
          `${name} ${key}: ${counted} ${counter} counted, ${acknowledged} acknowledged, ` +
            `${unknown} unknown`,
        );
      }
    }
  }
  return problems;
}

/**
 * Successes that were counted although their circuit was zeroed after them: between two zeroings no
 * instance counts more than it has recorded since the first.
 */
export function zeroedProblems(run: RecordedRun): string[] {
  const recorded = new Map<string, RecordedCall[]>();
  for (const call of run.calls) {
    if (call.operation !== "recordSuccess" || call.fate === "not done") continue;
    const id = `${call.instance} ${call.key}`;
    // The server can carry out later what its caller has given up.
    const last = call.fate === "unknown" ? { ...call, end: Infinity } : call;
    const own = recorded.get(id);
    if (own === undefined) recorded.set(id, [last]);
    else own.push(last);
  }
  const problems: string[] = [];
  for (const [key, rows] of rowsByKey(run.rows)) {
    for (const { from, to, counted } of periods(rows)) {
      for (const [writer, count] of counted) {
        if (!run.instances.some(({ name }) => name === writer)) continue;
        const calls = (recorded.get(`${writer} ${key}`) ?? [])
          .filter(({ begin, end }) => end >= from - ROUNDING_MS && begin <= to + ROUNDING_MS);
        if (count <= calls.length) continue;
        problems.push(
          `${writer} ${key}: ${count} successes counted from ${from.toFixed(1)} to ` +
            `${to.toFixed(1)}, ${calls.length} recorded`,
        );
      }
    }
  }
  return problems;
}

/** What was counted from one zeroing of a circuit's successes to the next, by its writer. */
interface Period {
  from: number;
  /** When the last of it was counted. */
  to: number;
  counted: Map<string, number>;
}

function periods(rows: readonly AuditRow[]): Period[] {
  const found: Period[] = [{ from: -Infinity, to: -Infinity, counted: new Map() }];
  let before = { successes: 0, zeroedVersion: 0 };
  for (const row of rows) {
    const isZeroed = row.isDeleted || row.zeroedVersion !== before.zeroedVersion;
    if (isZeroed) found.push({ from: row.at, to: row.at, counted: new Map() });
    const period = found.at(-1)!;
    const added = isZeroed ? 0 : row.successes - before.successes;
    if (added > 0) period.counted.set(row.writer, (period.counted.get(row.writer) ?? 0) + added);
    period.to = row.at;
    // A row that is gone can come back with successes that were recorded before.
    if (row.isDeleted) period.from = -Infinity;
    before = row.isDeleted ? { successes: 0, zeroedVersion: 0 } : row;
  }
  return found;
}

/** Callers of `recordFailure` that got the same count: each has to get its own. */
export function sharedCountProblems(run: RecordedRun): string[] {
  const lives = new Set(run.rows.filter((row) => row.isDeleted).map((row) => row.key));
  const seen = new Map<string, RecordedCall>();
  const problems: string[] = [];
  for (const call of run.calls) {
    const { operation, key, fate, shown } = call;
    if (operation !== "recordFailure" || fate !== "answered" || shown === undefined) continue;
    if (!isOf("counted", key) || lives.has(key)) continue;
    const id = `${key}: ${shown.failures}`;
    const other = seen.get(id);
    if (other !== undefined) {
      problems.push(`${id} failures was the answer to ${other.instance} and to ${call.instance}`);
    }
    seen.set(id, call);
  }
  return problems;
}
