import { isCircuitBreakerStoreError, isOutage, isStoreTimeoutError } from "../errors.ts";
import type { OutageChange } from "../options/store_options.ts";
import type { StatementEvent, StatementKind } from "../ports.ts";
import { BACKGROUND_TIMERS, type Timers } from "../time/timers.ts";

/** The pause before the first check. It is short, because most lost connections are no outage. */
const FIRST_CHECK_MS = 20;

/** The longest pause between two checks. The store notices within it that the database is back. */
const MAX_CHECK_MS = 1000;

/**
 * Checks of a server that takes no writes are closer: a check may have to close one more session before
 * it finds the new primary.
 */
const MAX_READ_ONLY_CHECK_MS = 400;

/**
 * After so long in which no statement ended, in milliseconds, connections can be lost unnoticed: a process
 * that was frozen learns it from its next statements. For as long again they are no evidence, and neither is
 * a driver's time that is over: most of it passed in the freeze.
 */
const SILENCE_MS = 1000;

/** Statements that can read a lot: that one took too long says nothing about calls. */
const SLOW: readonly StatementKind[] = ["history", "prune"];

/** read_only_sql_transaction */
const READ_ONLY = "25006";

/** What the detection of outages needs. */
export interface OutageOptions {
  /** Resolves where the database can be used. */
  check: () => Promise<void>;
  /** Whether the process was held up since a moment of `performance.now()`. */
  wasHeldUpSince: (moment: number) => boolean;
  /** Whether an error says that an established connection was lost, or that a driver's time was over. */
  wasLost: (error: Error) => boolean;
  /** Called at the begin and at the end of an outage. Does not throw. */
  onChange: (change: OutageChange) => void;
  /** What starts the checks. By default timers of the process. */
  timers?: Timers;
  /**
   * After how many milliseconds without the answer of a check calls ask the database by themselves. By
   * default never: checks come by themselves.
   */
  patienceMs?: number;
}

/**
 * Finds out whether the database is out, from the statements that were sent anyway. During an outage
 * one background check after another asks the database, at random moments so that a thousand
 * instances do not return at once.
 *
 * States: in, out, ended.
 * - a statement fails with a timeout or because the database cannot be used: in -> out. Not so where
 *   the statement was sent before the last outage ended (it hangs since then), where the process was
 *   held up meanwhile (a driver's timer fired for that reason, or a connection was lost), where a
 *   statement that can read a lot took too long, and where the first statements after a silence find
 *   their connections lost or their driver's time over: a server that is out refuses the next connection,
 *   and one that hangs lets calls miss their deadlines.
 * - a check succeeds: out -> in.
 * - `end`: to ended. Calls go to the database from then on.
 */
export class Outage {
  readonly #options: OutageOptions;
  readonly #timers: Timers;
  #cause: Error | undefined;
  #timer: unknown;
  /** When it was last found out, by the clock of the timers. */
  #foundAt = 0;
  /** Checks since a call last succeeded: an outage that comes back at once is asked less often. */
  #checks = 0;
  /** When the last outage ended, on the clock of `performance.now()`. */
  #endedAt = -Infinity;
  /** When a statement last ended, on both clocks: only `Date.now()` counts the sleep of a machine. */
  #heardAt = performance.now();
  #heardWall = Date.now();
  /** Until when statements are sent, on the clock of `performance.now()`, that are the first ones. */
  #isFirstUntil = -Infinity;
  /** How many outages have begun. */
  #count = 0;
  #isEnded = false;

  constructor(options: OutageOptions) {
    this.#options = options;
    this.#timers = options.timers ?? BACKGROUND_TIMERS;
  }

  /** What showed that the database is out; `undefined` while it is in, and where that is long ago. */
  get cause(): Error | undefined {
    const { patienceMs } = this.#options;
    const isOld = this.#cause !== undefined && patienceMs !== undefined &&
      this.#timers.now() - this.#foundAt > patienceMs;
    return isOld ? undefined : this.#cause;
  }

  /** How many outages have begun so far. */
  get count(): number {
    return this.#count;
  }

  /** A statement has ended. */
  onStatement(event: StatementEvent): void {
    const { kind, error } = event;
    this.#hear();
    // The checks of an outage say nothing about calls, and announcements wait for other programs.
    if (kind === "check" || kind === "announce") return;
    if (error === undefined) this.#checks = 0;
    else if (this.#cause === undefined && isOutage(error) && this.#isEvidence(event, error)) {
      this.#begin(error);
    }
  }

  /** Stops the checks. */
  end(): void {
    this.#isEnded = true;
    this.#cause = undefined;
    this.#timers.stop(this.#timer);
    this.#timer = undefined;
  }

  /** Notes that a statement has ended, and whether it was the first to end after a silence. */
  #hear(): void {
    const [now, wall] = [performance.now(), Date.now()];
    const silentMs = Math.max(now - this.#heardAt, wall - this.#heardWall);
    if (silentMs > SILENCE_MS) this.#isFirstUntil = now + SILENCE_MS;
    this.#heardAt = now;
    this.#heardWall = wall;
  }

  #isEvidence({ kind, ms }: StatementEvent, error: Error): boolean {
    const { wasHeldUpSince, wasLost } = this.#options;
    const sentAt = performance.now() - ms;
    if (sentAt <= this.#endedAt) return false;
    if (isStoreTimeoutError(error)) return !SLOW.includes(kind);
    if (wasLost(error)) return sentAt > this.#isFirstUntil && !wasHeldUpSince(sentAt);
    return sqlStateOf(error) !== undefined || !wasHeldUpSince(sentAt);
  }

  #begin(cause: Error): void {
    if (this.#isEnded) return;
    this.#cause = cause;
    this.#count++;
    this.#scheduleCheck(cause);
    this.#options.onChange({ isOut: true, cause });
  }

  #scheduleCheck(reason: unknown): void {
    this.#foundAt = this.#timers.now();
    const most = sqlStateOf(reason) === READ_ONLY ? MAX_READ_ONLY_CHECK_MS : MAX_CHECK_MS;
    const delay = Math.min(FIRST_CHECK_MS * 2 ** this.#checks, most);
    this.#checks++;
    this.#timer = this.#timers.start(() => this.#check(), delay * (0.5 + Math.random() / 2));
  }

  async #check(): Promise<void> {
    try {
      await this.#options.check();
    } catch (error) {
      if (this.#cause !== undefined) this.#scheduleCheck(error);
      return;
    }
    // Two checks can be under way where the first one was taken for dead.
    if (this.#cause === undefined) return;
    this.#cause = undefined;
    this.#endedAt = performance.now();
    this.#options.onChange({ isOut: false });
  }
}

function sqlStateOf(error: unknown): string | undefined {
  return isCircuitBreakerStoreError(error) ? error.sqlState : undefined;
}
