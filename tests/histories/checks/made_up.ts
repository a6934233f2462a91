/** Runs that no process made, for tests of the checks. */

import type {
  AuditedLogRow,
  AuditRow,
  DeliveredChange,
  Observation,
  RecordedCall,
  RecordedInstance,
  RecordedRun,
  ShownCircuit,
} from "../recorded.ts";

/** A run in which nothing happened, but for what is given. */
export function runOf(parts: Partial<RecordedRun>): RecordedRun {
  return {
    instances: [],
    calls: [],
    rows: [],
    log: [],
    observations: [],
    crashes: [],
    watches: [],
    history: [],
    ...parts,
  };
}

/** A store that asks the database. */
export function instanceOf(parts: Partial<RecordedInstance> = {}): RecordedInstance {
  return {
    name: "i0",
    boundMs: 0,
    halfOpenMax: 1,
    resolvesEarly: false,
    isStepped: false,
    hasLostDeferred: false,
    ...parts,
  };
}

/** A call of `i0` about `m0`, which took a millisecond and was answered. */
export function callOf(parts: Partial<RecordedCall> & { begin: number }): RecordedCall {
  return {
    instance: "i0",
    operation: "peek",
    key: "m0",
    end: parts.begin + 1,
    fate: "answered",
    ...parts,
  };
}

/** What an answer shows of a circuit without results. */
export function shownOf(
  state: AuditRow["state"],
  since: number,
  failures: number = 0,
): ShownCircuit {
  return { state, since, failures, successes: 0 };
}

/** A row of `m0`, written by `i0`. */
export function rowOf(parts: Partial<AuditRow> & { id: number; at: number }): AuditRow {
  return {
    xid: `${parts.id}`,
    writer: "i0",
    key: "m0",
    isDeleted: false,
    state: "closed",
    failures: 0,
    successes: 0,
    lastStateChange: 0,
    version: 0,
    zeroedVersion: 0,
    loggedState: "closed",
    forcedState: null,
    forcedAt: null,
    forcedUntil: null,
    probes: 0,
    ...parts,
  };
}

/** A row of `m0` that is open. */
export function openRow(id: number, at: number, version: number = id): AuditRow {
  return rowOf({ id, at, state: "open", loggedState: "open", lastStateChange: at, version });
}

/** The log row of a change. */
export function logOf(parts: Partial<AuditedLogRow> & { id: number; at: number }): AuditedLogRow {
  return {
    xid: `${parts.id}`,
    writer: "i0",
    key: "m0",
    version: parts.id,
    from: "closed",
    to: "open",
    cause: "manual",
    ...parts,
  };
}

/** The same as a watch delivers it. */
export function deliveredOf(entry: AuditedLogRow): DeliveredChange {
  const { at, key, version, from, to, cause } = entry;
  return { at: at + 1, key, version, from, to, cause };
}

/** Snapshots that show a transaction as committed as soon as its id is reached, one for each. */
export function observationsOf(...moments: [at: number, xmax: number][]): Observation[] {
  return moments.map(([at, xmax]) => ({ at, xmax: BigInt(xmax), running: new Set<string>() }));
}
