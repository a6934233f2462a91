import type { Admin, Calls, Feed, Instance, Tail } from "../ports.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { Timers } from "../time/timers.ts";

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
  /** Within how many milliseconds a question is answered, or never. By default there is no such time. */
  answerWithinMs?: number | undefined;
}

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
  deadlines: CallDeadlines;
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
  /** The clock that measures ages. By default `now`, or one that never stops. */
  clock?: (() => number) | undefined;
  /** Called with what no caller hears of. */
  onError: (error: unknown) => void;
  feed: Feed;
  timers?: Timers | undefined;
  /** The share of the bound between two refreshes, where the database answers in the rest of it. */
  refreshAfter?: number | undefined;
  /** Within how many milliseconds a question is answered, or never. By default there is no such time. */
  answerWithinMs?: number | undefined;
  /** Numbers in [0, 1) that spread the statements of many instances. */
  random?: (() => number) | undefined;
}
