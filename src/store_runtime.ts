import type { RunAlone } from "./client_traits.ts";
import { runAloneOf } from "./client_traits.ts";
import { isRequestBound, requestBoundError } from "./edge/request_bound.ts";
import { RequestDeadlines } from "./edge/request_deadlines.ts";
import { RequestTimers } from "./edge/request_timers.ts";
import type { ErrorReports } from "./outage/error_reports.ts";
import type { Feed, OnStatement } from "./ports.ts";
import { Announcer } from "./postgres/announcer.ts";
import { ChangeFeed } from "./postgres/change_feed.ts";
import { Coalescer } from "./postgres/coalescer.ts";
import type { Gather } from "./postgres/dispatcher.ts";
import type { TableName } from "./postgres/identifier.ts";
import { SeparateStatements } from "./postgres/separate_statements.ts";
import { Underway } from "./postgres/underway.ts";
import type { Call } from "./time/call.ts";
import { type CallDeadlines, Deadlines } from "./time/deadlines.ts";
import { BACKGROUND_TIMERS, type Timers } from "./time/timers.ts";
import type { PostgresClient } from "./types.ts";

/** The parts of a store that depend on where it runs. */
export interface StoreRuntime {
  readonly deadlines: CallDeadlines;
  readonly timers: Timers;
  /** Begins a call of a public method. It throws where no call can be made. */
  begin(): Call;
  /** How the calls of a dispatcher are answered by statements. */
  gather(onStatement: OnStatement): Gather;
  feed(client: PostgresClient, name: TableName): Feed;
  /** How a session that takes no writes can be closed. */
  runAlone(client: PostgresClient): RunAlone | undefined;
  /** Announces changes by a statement that reports its errors itself. */
  announcer(send: () => Promise<unknown>): { announce(): void };
  /** Begins a statement of the background. */
  background<Result>(begin: () => Promise<Result>): Promise<Result>;
  /** Whether each call may have a connection of its own, which only its program ends. */
  readonly isPerCall: boolean;
  /** Within how many milliseconds work has ended, or never ends; `undefined` where all work ends. */
  readonly deadAfterMs: number | undefined;
  /** Begins nothing any more. Resolves when what was begun has ended, as far as a call can wait for it. */
  end(): Promise<void>;
}

/** What a runtime needs of a store. */
export interface StoreRuntimeOptions {
  timeoutMs: number;
  waitUntil: ((work: Promise<unknown>) => void) | undefined;
  reports: ErrorReports;
}

/** The runtime of a store: bound to requests with `waitUntil`, a process without it. */
export function storeRuntime(options: StoreRuntimeOptions): StoreRuntime {
  const { waitUntil } = options;
  return waitUntil === undefined ? processRuntime(options) : requestRuntime(options, waitUntil);
}

/** A process, in which calls share statements and timers. */
function processRuntime({ timeoutMs, reports }: StoreRuntimeOptions): StoreRuntime {
  const deadlines = new Deadlines(timeoutMs);
  const underway = new Underway();
  let announcer: Announcer | undefined;
  const refuse = () => {
    const error = requestBoundError();
    reports.report(error);
    throw error;
  };
  return {
    deadlines,
    timers: BACKGROUND_TIMERS,
    begin: isRequestBound() ? refuse : () => deadlines.begin(),
    gather: (onStatement) => (send, options) =>
      new Coalescer(send, { ...options, deadlines, onStatement }),
    feed: (client, name) => new ChangeFeed(client, name, { timeoutMs, onError: reports.report }),
    runAlone: runAloneOf,
    announcer: (send) => announcer = new Announcer(() => underway.run(send)),
    background: (begin) => underway.run(begin),
    isPerCall: false,
    deadAfterMs: undefined,
    async end() {
      await Promise.all([announcer?.settled(), underway.settled()]);
    },
  };
}

/** A runtime that ends promises, sockets and timers with their request: nothing is shared between calls. */
function requestRuntime(
  { timeoutMs, reports }: StoreRuntimeOptions,
  waitUntil: (work: Promise<unknown>) => void,
): StoreRuntime {
  const ignore = () => {};
  const keep = (work: Promise<unknown>) => reports.run(() => waitUntil(work.then(ignore, ignore)));
  const deadlines = new RequestDeadlines(timeoutMs, keep);
  // Work has one deadline at a time. Another one begins only where a run has several statements.
  const deadAfterMs = 2 * timeoutMs;
  const timers = new RequestTimers({ deadAfterMs, keep });
  return {
    deadlines,
    timers,
    begin() {
      timers.onCall();
      return deadlines.begin();
    },
    gather: (onStatement) => (send, options) =>
      new SeparateStatements(send, { ...options, deadlines, onStatement }),
    feed: () => ({ canListen: false, subscribe: () => ignore }),
    runAlone: () => undefined,
    announcer: (send) => ({ announce: () => void send().catch(ignore) }),
    background: (begin) => begin(),
    isPerCall: true,
    deadAfterMs,
    end() {
      timers.end();
      return Promise.resolve();
    },
  };
}
