import type { LogCursor, LoggedChange, LogPage, Tail } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitChange, CircuitChangeCause } from "../operator_types.ts";
import { cursorsOf } from "./cursor.ts";

/** Which changes a reader wants. */
export interface LogFilter {
  /** Only those of one circuit. */
  readonly key: string | undefined;
  /** Only those at this time or later, by the clock that decides. */
  readonly since: number | undefined;
  readonly hasRounds: boolean;
}

/** Where a reader stands. The log comes in parts: what became visible between two moments. */
export interface ReaderPlace {
  /** The moment at which the part begins; `undefined` for the beginning of the log. */
  readonly from: LogCursor | undefined;
  /** The moment at which it ends; `undefined` for that of the next page. */
  readonly to: LogCursor | undefined;
  /** The last version that was read of the part. */
  readonly version: number | undefined;
}

/** One row of the log, and how a reader goes on after it. */
export interface ReadChange {
  readonly change: LoggedChange;
  readonly cursor: string;
}

/** What a reader has read. */
export interface ReadPage {
  readonly changes: readonly ReadChange[];
  /** Whether nothing more was visible. */
  readonly isAtEnd: boolean;
  /** What happened, where changes may be missing that this reader has not reported missing yet. */
  readonly breakReason: string | undefined;
  /** The time of the clock that decides. */
  readonly readAt: number;
}

/**
 * Reads the log page by page, each change exactly once. The changes of one circuit come in the order of
 * their versions.
 *
 * States: at the beginning of a part; within a part. A failed read changes nothing.
 * - A page that is full: to within the part, after the last version of the page. The part ends at the
 *   moment of its first page, so that its later pages neither repeat nor skip what commits meanwhile.
 * - A page that is not full: to the beginning of the next part, which begins where this one ends.
 */
export class LogReader {
  readonly #log: Pick<Tail, "log">;
  readonly #filter: LogFilter;
  #place: ReaderPlace;
  /** The run that the last page was from, if that page had a break. */
  #brokenRun: string | undefined;

  constructor(log: Pick<Tail, "log">, filter: LogFilter, place: ReaderPlace) {
    this.#log = log;
    this.#filter = filter;
    this.#place = place;
  }

  /** Where the next page begins. */
  get place(): ReaderPlace {
    return this.#place;
  }

  /** Reads the next page of at most `limit` changes. */
  async read(call: Call, limit: number): Promise<ReadPage> {
    const { from, to, version } = this.#place;
    const page = await this.#log.log(call, {
      after: from,
      until: to,
      afterVersion: version,
      ...this.#filter,
      limit,
    });
    const end = to ?? page.cursor;
    const last = page.changes.at(-1);
    const isFull = page.changes.length >= limit && last !== undefined;
    this.#place = isFull
      ? { from, to: end, version: last.version }
      : { from: end, to: undefined, version: undefined };
    const cursorOf = cursorsOf(from, end);
    return {
      changes: page.changes.map((change) => ({ change, cursor: cursorOf(change.version) })),
      isAtEnd: to === undefined && !isFull,
      breakReason: this.#judgeBreak(page, from ?? to),
      readAt: page.readAt,
    };
  }

  /** All pages from before a break have it. It is one event. */
  #judgeBreak({ isBreak, cursor }: LogPage, before: LogCursor | undefined): string | undefined {
    const wasReported = this.#brokenRun === cursor.run;
    this.#brokenRun = isBreak ? cursor.run : undefined;
    if (!isBreak || wasReported) return undefined;
    return before?.run === cursor.run
      ? "the log no longer holds all changes since the last ones that were read"
      : "PostgreSQL was restarted or restored, or the log is another one";
  }
}

/** Which changes are shown. */
export interface Shown {
  /** Rounds of probes. */
  readonly rounds: boolean;
  /** What an operator did although it left the state as it was. */
  readonly acts: boolean;
}

/** Whether a row of the log is shown. */
export function isShown({ from, to, cause }: LoggedChange, { rounds, acts }: Shown): boolean {
  if (cause === "suspect" || cause === "zeroed") return false;
  if (cause === "round") return rounds;
  // A vote leaves the circuit closed, unless it completes the quorum.
  return from !== to || acts || cause === "vote";
}

/** A row of the log as users see it. */
export function toCircuitChange(
  { change, cursor }: ReadChange,
  clock: Pick<CallerClock, "toCaller">,
): CircuitChange {
  const { key, from, to, version, at, cause, actor, role, reason } = change;
  const { failureCount, successCount } = change;
  return {
    key,
    storedKey: key,
    from,
    to,
    version,
    at: clock.toCaller(at),
    cause: cause as CircuitChangeCause,
    actor,
    role,
    reason,
    failureCount,
    successCount,
    cursor,
  };
}
