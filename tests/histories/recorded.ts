/**
 * What a run records: the calls of every instance, what an audit trigger of the test saw of every row,
 * and what watches delivered. Times are epoch milliseconds of the machine's monotonic clock
 * (`performance.timeOrigin + performance.now()`), which all processes of a machine share. Times of the
 * audit are of the server's `clock_timestamp()`, on the same machine.
 */

import type { CircuitState } from "../../src/types.ts";

/** What callers call. */
export type Operation =
  | "getState"
  | "peek"
  | "list"
  | "recordSuccess"
  | "recordFailure"
  | "transition"
  | "force"
  | "release"
  | "reset"
  | "prune"
  | "history";

/** What an answer shows of a circuit. */
export interface ShownCircuit {
  state: CircuitState;
  /** Its `lastStateChange`. */
  since: number;
  failures: number;
  successes: number;
}

/**
 * What became of a call: the store answered it, or failed it with certainty that nothing was done, or
 * failed it and may have done it.
 */
export type Fate = "answered" | "not done" | "unknown";

/** A call, once for each circuit that it was about. */
export interface RecordedCall {
  instance: string;
  operation: Operation;
  /** The circuit; empty for calls that are about none. */
  key: string;
  begin: number;
  /** `Infinity` where the process ended before. */
  end: number;
  fate: Fate;
  /** Where the answer has a circuit. */
  shown?: ShownCircuit | undefined;
  /** Where it failed: the class and SQLSTATE, and the message. */
  error?: string | undefined;
}

/** A gateway instance: one store object. */
export interface RecordedInstance {
  /** Also its `instanceId` and the application name of its connections. */
  name: string;
  /** Its `maxStalenessMs`; 0 for a store that asks the database. */
  boundMs: number;
  /** How many probes its rules admit in a round; `undefined` where it admits none. */
  halfOpenMax: number | undefined;
  /** Whether its driver resolves a statement before it has heard of the commit. */
  resolvesEarly: boolean;
  /** Whether its `Date.now` was stepped, so that times in its answers say nothing. */
  isStepped: boolean;
  /** Whether its process was killed, or its store could not count at its end what it had deferred. */
  hasLostDeferred: boolean;
}

/** A row of the circuits table as a statement left it. */
export interface AuditRow {
  /** Grows in commit order for each key. */
  id: number;
  /** When the statement was about to end: before its commit. */
  at: number;
  xid: string;
  /** The application name of its session. */
  writer: string;
  key: string;
  isDeleted: boolean;
  state: CircuitState;
  failures: number;
  successes: number;
  lastStateChange: number;
  version: number;
  zeroedVersion: number;
  loggedState: CircuitState;
  forcedState: "open" | "closed" | null;
  forcedAt: number | null;
  forcedUntil: number | null;
  probes: number;
}

/** A row of the log. */
export interface AuditedLogRow {
  id: number;
  at: number;
  xid: string;
  writer: string;
  key: string;
  version: number;
  from: CircuitState;
  to: CircuitState;
  cause: string;
}

/** A snapshot of the server: what was committed at a moment, by an observer's clock. */
export interface Observation {
  /** When the observer had it: everything that it shows was committed before. */
  at: number;
  xmax: bigint;
  running: ReadonlySet<string>;
}

/** A change that a watch or a page of history delivered. */
export interface DeliveredChange {
  at: number;
  key: string;
  version: number;
  from: CircuitState;
  to: CircuitState;
  cause: string;
}

/** What one watch delivered, also over the processes that it was continued in. */
export interface RecordedWatch {
  name: string;
  changes: DeliveredChange[];
  /** Whether it ran until the end of the run, so that it has to have delivered everything. */
  isComplete: boolean;
}

/** Everything. */
export interface RecordedRun {
  instances: RecordedInstance[];
  calls: RecordedCall[];
  rows: AuditRow[];
  log: AuditedLogRow[];
  observations: Observation[];
  /** When processes of the server crashed, each until the server took statements again. */
  crashes: { from: number; to: number }[];
  watches: RecordedWatch[];
  /** All pages of `history`, at the end. */
  history: DeliveredChange[];
}

/** The name under which the test's own SQL is run, beside the store. */
export const FOREIGN_WRITER = "foreign";

/** What distinguishes the circuits of a run: the first letter of a key. */
export const KEY_GROUPS = {
  /** Only counted, by all instances all the time. */
  counted: "c",
  /** Moved, forced, reset and pruned. */
  moved: "m",
  /** Opened and probed, as a gateway's policy does it. */
  probed: "p",
  /** Also changed by plain SQL. */
  foreign: "x",
  /** Used once. */
  fleeting: "t",
} as const;

/** Whether a key is of a group. */
export function isOf(group: keyof typeof KEY_GROUPS, key: string): boolean {
  return key.startsWith(KEY_GROUPS[group]);
}
