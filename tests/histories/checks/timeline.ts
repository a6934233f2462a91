/**
 * What was true when: the states of each circuit as the whole fleet should have seen them, from the rows
 * that the audit recorded.
 */

import type { CircuitState } from "../../../src/types.ts";
import type { AuditRow, Observation } from "../recorded.ts";

/** How far the rounding of two clocks can move a moment, in milliseconds. */
export const ROUNDING_MS = 3;

/** One effective state of a circuit, until the next one. */
export interface Span {
  /** Its place among the spans of the circuit. */
  index: number;
  state: CircuitState;
  /** The `lastStateChange` that the fleet sees; 0 for a circuit without a row. */
  since: number;
  version: number;
  /** No reader can have seen it earlier. */
  from: number;
  /** Every reader that asks later sees a later one. */
  to: number;
}

/** The version that orders what is known of a row. */
export function versionOf(row: Pick<AuditRow, "version" | "zeroedVersion">): number {
  return Math.max(row.version, row.zeroedVersion);
}

/** The rows of each circuit in the order of their commits. */
export function rowsByKey<Row extends { key: string; id: number }>(
  rows: readonly Row[],
): Map<string, Row[]> {
  const byKey = new Map<string, Row[]>();
  for (const row of rows.toSorted((a, b) => a.id - b.id)) {
    const own = byKey.get(row.key);
    if (own === undefined) byKey.set(row.key, [row]);
    else own.push(row);
  }
  return byKey;
}

/** The timeline of each circuit. */
export function timelines(
  rows: readonly AuditRow[],
  observations: readonly Observation[],
): Map<string, Span[]> {
  const found = new Map<string, Span[]>();
  for (const [key, own] of rowsByKey(rows)) found.set(key, spansOf(own, observations));
  return found;
}

/** The timeline of a circuit that never had a row. */
export const EMPTY_TIMELINE: readonly Span[] = [
  { index: 0, state: "closed", since: 0, version: 0, from: -Infinity, to: Infinity },
];

function spansOf(rows: readonly AuditRow[], observations: readonly Observation[]): Span[] {
  const changes = rows.filter((row, at) => at === 0 || !isSame(rows[at - 1]!, row));
  const ends = changes.map((row) => visibleAt(row, observations));
  const spans: Span[] = [{ ...EMPTY_TIMELINE[0]!, to: ends[0]! }];
  const add = (span: Omit<Span, "index">) => spans.push({ index: spans.length, ...span });
  for (const [at, row] of changes.entries()) {
    const to = ends[at + 1] ?? Infinity;
    const own = { state: row.state, since: row.lastStateChange, version: versionOf(row) };
    if (row.isDeleted) {
      add({ state: "closed", since: 0, version: 0, from: row.at, to });
    } else if (row.forcedState === null) {
      add({ ...own, from: row.at, to });
    } else {
      const until = row.forcedUntil ?? Infinity;
      const forced = { ...own, state: row.forcedState, since: row.forcedAt ?? 0 };
      // It can have ended before its statement did: the answer of that statement alone shows it.
      const from = Math.min(row.at, row.forcedAt ?? row.at);
      add({ ...forced, from, to: Math.max(ends[at]!, Math.min(to, until)) });
      // A reader that has not heard of the next row shows the state beneath when the end has come. So a
      // span can begin after it has ended: who knew the row before `to` may show it after `from`.
      if (until < Infinity) add({ ...own, from: Math.max(row.at, until), to });
    }
  }
  return spans;
}

/** Whether two rows look the same to the fleet, whatever they count. */
function isSame(one: AuditRow, other: AuditRow): boolean {
  return one.isDeleted === other.isDeleted && one.state === other.state &&
    one.lastStateChange === other.lastStateChange && versionOf(one) === versionOf(other) &&
    one.forcedState === other.forcedState && one.forcedAt === other.forcedAt &&
    one.forcedUntil === other.forcedUntil;
}

/**
 * The moment at which a row was certainly visible: when an observer first had a snapshot that shows its
 * transaction as committed. `Infinity` where none has it.
 */
function visibleAt(row: AuditRow, observations: readonly Observation[]): number {
  const xid = BigInt(row.xid);
  for (let at = firstAfter(observations, row.at); at < observations.length; at++) {
    const observation = observations[at]!;
    if (xid < observation.xmax && !observation.running.has(row.xid)) return observation.at;
  }
  return Infinity;
}

function firstAfter(observations: readonly Observation[], moment: number): number {
  let low = 0, high = observations.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (observations[middle]!.at > moment) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The first span of a circuit that can have been seen at a moment or later. */
export function firstSpanAt(spans: readonly Span[], moment: number): number {
  let low = 0, high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.to + ROUNDING_MS >= moment) high = middle;
    else low = middle + 1;
  }
  return low;
}
