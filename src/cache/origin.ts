import type { Admin, Calls, Feed, Instance, Tail } from "../ports.ts";
import { startBackgroundTimer } from "../time/background_timer.ts";
import type { Deadlines } from "../time/deadlines.ts";

/**
 * What a cache asks. Each answer says where it comes from. A statement that answers a question is
 * sent after the question was asked: a question never joins a statement in flight.
 */
export interface Origin extends Calls, Admin, Omit<Tail, "log" | "instances"> {
  /** Whether the database is out, as far as is known. */
  readonly isOut: boolean;
}

/** The moment at which this instance sent a question to the database. */
export interface Asked {
  /** The number of the question. The instance numbers its questions and answers in one sequence. */
  readonly order: number;
  readonly at: number;
}

/** The clocks by which a cached circuit ages. */
export interface Clocks {
  /** The clock that measures ages, in milliseconds. */
  clock: () => number;
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
}

/** Timers, and the clock that they go by. Tests replace them. */
export interface Timers {
  now(): number;
  start(run: () => void, delayMs: number): unknown;
  stop(timer: unknown): void;
}

/** Timers of the runtime. They do not keep the process alive. */
export const BACKGROUND_TIMERS: Timers = {
  now: () => performance.now(),
  start: startBackgroundTimer,
  stop: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** What a cache needs beside its origin. */
export interface CircuitCacheOptions {
  instance: Instance;
  /** No answer from memory is older, in milliseconds. */
  maxStalenessMs: number;
  /** A success is counted within this time, in milliseconds. By default 60,000. */
  countWithinMs?: number | undefined;
  /** Whether failures leave the count by themselves, as with `failureWindowMs`. */
  hasFailureWindow: boolean;
  /** The window of the rates, in milliseconds; `undefined` without rates. */
  rateWindowMs?: number | undefined;
  /** Whether slow calls count. They are recorded at once then, as failures are. */
  hasSlowRate?: boolean | undefined;
  deadlines: Deadlines;
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  /** The clock that measures ages. By default `now`, or one that never stops. */
  clock?: (() => number) | undefined;
  /** Called with what no caller hears of. */
  onError: (error: unknown) => void;
  feed: Feed;
  timers?: Timers | undefined;
  /** Numbers in [0, 1) that spread the statements of many instances. */
  random?: (() => number) | undefined;
}
