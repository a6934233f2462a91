/** Watches and pages of history against the log: each change once, in order, and none missing. */

import type { AuditedLogRow, DeliveredChange, RecordedRun, RecordedWatch } from "../recorded.ts";

/** Causes of rows that no reader sees unless it asks for them. */
const HIDDEN: readonly string[] = ["round", "suspect", "zeroed"];

/** Watches that delivered something else than the log has, and pages of history likewise. */
export function watchProblems(run: RecordedRun): string[] {
  const shown = run.log.filter(({ from, to }) => from !== to);
  return [
    ...run.watches.flatMap((watch) => [...deliveryProblems(watch, run.log, shown)]),
    ...historyProblems(run),
  ];
}

function* deliveryProblems(
  { name, changes, isComplete }: RecordedWatch,
  log: readonly AuditedLogRow[],
  shown: readonly AuditedLogRow[],
): Generator<string> {
  const entries = new Map(log.map((entry) => [idOf(entry), entry]));
  const latest = new Map<string, number>();
  const delivered = new Set<string>();
  for (const change of changes) {
    const id = idOf(change);
    const before = latest.get(change.key) ?? -1;
    if (delivered.has(id)) yield `${name}: ${id} delivered again`;
    else if (change.version < before) yield `${name}: ${id} after version ${before}`;
    delivered.add(id);
    latest.set(change.key, Math.max(before, change.version));
    const entry = entries.get(id);
    if (entry === undefined) yield `${name}: ${id} is not in the log`;
    else if (!isEqual(entry, change)) yield `${name}: ${id} differs from the log`;
  }
  const beganAt = changes[0]?.at ?? Infinity;
  const first = new Map<string, number>();
  for (const { key, version } of changes) if (!first.has(key)) first.set(key, version);
  for (const entry of shown) {
    if (delivered.has(idOf(entry))) continue;
    const { key, version, at } = entry;
    // Between two that it delivered, and, where it ran on, after the moment of its first.
    const isBetween = version > (first.get(key) ?? Infinity) && version < latest.get(key)!;
    if (isBetween || isComplete && at > beganAt) yield `${name}: ${idOf(entry)} is missing`;
  }
  if (isComplete && changes.length === 0) yield `${name}: delivered nothing`;
}

/** `history` also shows acts of operators that change no state. */
function* historyProblems({ log, history }: RecordedRun): Generator<string> {
  const expected = log.filter(({ cause }) => !HIDDEN.includes(cause))
    .toSorted((a, b) => a.version - b.version);
  const found = new Map<string, DeliveredChange>();
  let before = -1;
  for (const change of history) {
    const id = idOf(change);
    if (found.has(id)) yield `history: ${id} returned again`;
    if (change.version < before) yield `history: ${id} after version ${before}`;
    before = change.version;
    found.set(id, change);
  }
  for (const entry of expected) {
    const id = idOf(entry);
    const change = found.get(id);
    if (change === undefined) yield `history: ${id} is missing`;
    else if (!isEqual(entry, change)) yield `history: ${id} differs from the log`;
    found.delete(id);
  }
  for (const id of found.keys()) yield `history: ${id} is not in the log`;
}

function isEqual(entry: AuditedLogRow, change: DeliveredChange): boolean {
  return entry.from === change.from && entry.to === change.to && entry.cause === change.cause;
}

function idOf({ key, version }: { key: string; version: number }): string {
  return `${key} version ${version}`;
}
