/** What a test and its load processes say to each other: one line of JSON each. */

/** The drivers that a load can run on. */
export const DRIVERS = ["postgres.js", "node-postgres"] as const;
export type Driver = typeof DRIVERS[number];

/** What the store does in an outage; `bounded` reports it like `throw`, and answers from memory before. */
export const MODES = ["throw", "local", "bounded"] as const;
export type Mode = typeof MODES[number];

/** What a load process needs to know: the first line it reads. */
export interface LoadSettings {
  name: string;
  driver: Driver;
  mode: Mode;
  databaseUrl: string;
  /** The bundled gateway. */
  stomaPath: string;
  timeoutMs: number;
  /** Connections of the pool. */
  connections: number;
  /** Callers that each make one call after the other, with so long a pause in between. */
  callers: number;
  pauseMs: number;
}

/** What the test has a load do. */
export type LoadCommand =
  /**
   * Count under new keys from now on: say when what was called before has ended, and when there
   * were `answers` answers.
   */
  | { type: "phase"; phase: string; answers: number }
  /** The database is back: say when the store is. */
  | { type: "back" }
  /** Take `connections` of the store's own pool with statements that wait for a lock. */
  | { type: "hold"; connections: number; lock: number }
  /** Call for this circuit as well. */
  | { type: "also"; key: string }
  /** Collect garbage and say how much is in use. */
  | { type: "weigh" }
  /** Say how it went, and end. */
  | { type: "stop" };

/** An error as far as a test looks at it. */
export interface ErrorNote {
  name: string;
  message: string;
  sqlState?: string;
  /** What caused it, in words. */
  cause?: string;
}

/** What one counter should be. */
export interface Tally {
  /** Calls that were answered. */
  acknowledged: number;
  /** Calls that failed and may have been counted nevertheless. */
  unknown: number;
}

/** What a load counted for one circuit. */
export interface KeyTally {
  failures: Tally;
  successes: Tally;
}

/** A call that took longer than others. */
export interface SlowCall {
  call: string;
  /** Without the time in which the machine did not let the process run. */
  tookMs: number;
  noiseMs: number;
  /** What it ended with. */
  outcome: string;
}

/** What a process holds. */
export interface Weight {
  heapBytes: number;
  rssBytes: number;
  /** Open file descriptors, where the system shows them. */
  handles: number | undefined;
}

/** How it went. */
export interface LoadReport {
  /** Answers by phase, those that were errors among them. */
  phases: Record<string, { answers: number; errors: number; outages: number }>;
  tallies: Record<string, KeyTally>;
  /** Errors by class and SQLSTATE, with one message of each and how many there were. */
  errors: Record<string, { count: number; message: string }>;
  /** The slowest call of each kind. */
  slowest: SlowCall[];
  /** Calls during a known outage, and how many of them waited for a timer or a socket. */
  during: { calls: number; waited: number };
  /** The gateway's answers by status. */
  gateway: Record<string, number>;
}

/** What every process says that makes calls. */
export type CallMessage =
  /** An outage began or ended, in epoch milliseconds. */
  | { type: "outage"; isOut: boolean; at: number; cause?: ErrorNote }
  | { type: "began"; phase: string }
  | { type: "reached"; phase: string }
  /**
   * Every kind of call works. The last call that failed was made `afterMs` after the database was
   * back, or the outage ended then, whichever was later.
   */
  | { type: "recovered"; afterMs: number; noiseMs: number };

/** What a load says. */
export type LoadMessage =
  | CallMessage
  | { type: "ready" }
  | { type: "weight"; weight: Weight }
  | { type: "report"; report: LoadReport };
