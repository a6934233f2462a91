import type { StoreTimeoutError } from "../errors.ts";
import { beginCall, type Call } from "./call.ts";
import { LAST_READ_MS, timeoutError } from "./end_within.ts";
import { IdleTimer } from "./idle_timer.ts";

/** A timer that fires later than this, in milliseconds, was held up by the process itself. */
const HELD_UP_MS = 20;

/** How often hold-ups are looked for while anything is pending, as a share of the time a call has. */
const TICKS = 4;

/** How many settled entries may stay in the list before it is cleaned. */
const LOOSE_ENTRIES = 64;

/** Calls share a beginning only within this many milliseconds: the caller may work between them. */
const SHARED_MS = 2;

/** Cheaper than `queueMicrotask`, which some runtimes wrap. */
const MICROTASK = Promise.resolve();

/** Begins calls, and ends what they wait for at their deadlines. */
export interface CallDeadlines {
  /** Begins a call. */
  begin(): Call;
  /** Waits for work until the deadline of a call. What the work becomes later is ignored. */
  race<Result>(call: Call, action: string, work: Promise<Result>): Promise<Result>;
  /**
   * Whether the process was held up since a moment of `performance.now()`, long enough that a timer
   * of a driver may have fired only for this reason.
   */
  wasHeldUpSince(moment: number): boolean;
}

/** Something that must have ended by a deadline. */
export interface Expiring {
  /** What is being done, for the error: "read circuit". */
  readonly action: string;
  /** The deadline, on the clock of `performance.now()`. Moved on when the process was held up. */
  dueAt: number;
  /** By how much the deadline was moved on, in milliseconds. */
  extendedMs: number;
  readonly isSettled: boolean;
  /** Ends it with an error. Called at most once, and only while it is not settled. */
  expire(error: StoreTimeoutError): void;
}

/**
 * Ends what takes too long, with one timer for all. No other class makes a deadline an error.
 *
 * A deadline counts the time in which the process could have read an answer. When the process was
 * stopped or its event loop was blocked, the timer fires late by that time, and the deadlines of all
 * pending entries move on by it: an entry has at most `timeoutMs` left then.
 *
 * States: at rest (nothing pending); ticking (the timer runs); last read (deadlines are over, and
 * the process reads the answers that it already has before it gives anything up).
 * - `add`: at rest -> ticking.
 * - the timer fires, nothing is due: ticking -> ticking.
 * - the timer fires, something is due: ticking -> last read -> ticking, or at rest.
 * - `settled`: to at rest, once nothing is pending.
 */
export class Deadlines implements CallDeadlines {
  readonly #timeoutMs: number;
  readonly #timer: IdleTimer;
  /** By their deadlines, the earliest first. Some are settled. */
  #entries: Expiring[] = [];
  #pending = 0;
  /** The call that calls of this moment share: until the microtasks that wait have run. */
  #call: Call | undefined;
  /** When that was, on the clock of `Date.now()`. */
  #callWall = 0;
  /** The timer of the last read, while there is one. */
  #lastRead: ReturnType<typeof setTimeout> | undefined;
  /** When the last long hold-up ended, on the clock of `performance.now()`. */
  #heldUpUntil = -Infinity;

  /** @param timeoutMs How long a call may take, in milliseconds. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = new IdleTimer((dueAt) => this.#tick(dueAt));
  }

  /**
   * Begins a call. Calls that begin in one go share one: to read the clock of `performance.now()` costs
   * some runtimes more than the rest of a call that is answered together with others.
   */
  begin(): Call {
    const wall = Date.now();
    if (this.#call === undefined) void MICROTASK.then(this.#endSharing);
    else if (Math.abs(wall - this.#callWall) <= SHARED_MS) return this.#call;
    this.#callWall = wall;
    return this.#call = beginCall(this.#timeoutMs);
  }

  readonly #endSharing = (): void => {
    this.#call = undefined;
  };

  /**
   * Watches an entry. Call `settled` when it is settled.
   *
   * @param readAt A moment of `performance.now()` that the caller has read before: reading it costs
   * some runtimes as much as the rest of this. An old one makes the timer look sooner.
   */
  add(entry: Expiring, readAt: number): void {
    const entries = this.#entries;
    // Nearly always the last one: calls have the same time. After a hold-up, those before it end later.
    if (entries.length === 0 || entries.at(-1)!.dueAt <= entry.dueAt) entries.push(entry);
    else entries.splice(indexFor(entries, entry.dueAt), 0, entry);
    this.#pending++;
    if (this.#lastRead !== undefined) return;
    if (this.#pending === 1 || entry.dueAt < this.#timer.dueAt) this.#wakeFor(entry, readAt);
  }

  /** An entry was settled. */
  settled(): void {
    this.#pending--;
    if (this.#pending === 0) {
      if (this.#entries.length > 0) this.#entries = [];
      this.#timer.rest();
      this.#stopLastRead();
    } else if (this.#entries.length > LOOSE_ENTRIES + 2 * this.#pending) {
      this.#entries = this.#entries.filter(isPending);
    }
  }

  race<Result>(call: Call, action: string, work: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const entry = {
        action,
        dueAt: call.dueAt,
        extendedMs: 0,
        isSettled: false,
        expire: (error: unknown) => settle(() => reject(error)),
      };
      const settle = (end: () => void) => {
        if (entry.isSettled) return;
        entry.isSettled = true;
        this.settled();
        end();
      };
      this.add(entry, call.beganAt);
      work.then((result) => settle(() => resolve(result)), entry.expire);
    });
  }

  wasHeldUpSince(moment: number): boolean {
    if (this.#heldUpUntil > moment) return true;
    return performance.now() - this.#timer.dueAt >= this.#timeoutMs / 2;
  }

  /** Stops the timer. Entries that are pending no longer end. */
  stop(): void {
    this.#timer.stop();
    this.#stopLastRead();
  }

  #stopLastRead(): void {
    if (this.#lastRead === undefined) return;
    clearTimeout(this.#lastRead);
    this.#lastRead = undefined;
  }

  #tick(expectedAt: number): void {
    const now = performance.now();
    const lateMs = now - expectedAt;
    if (lateMs > HELD_UP_MS) this.#extend(now, lateMs);
    if (lateMs >= this.#timeoutMs / 2) this.#heldUpUntil = now;
    this.#goOn(now);
  }

  #extend(now: number, lateMs: number): void {
    for (const entry of this.#entries) {
      // An entry that was added after the hold-up waited for less than it took.
      const beganAt = entry.dueAt - entry.extendedMs - this.#timeoutMs;
      const waitedMs = Math.max(0, now - beganAt);
      const mostMs = Math.max(0, now + this.#timeoutMs - entry.dueAt);
      const extension = Math.min(lateMs, waitedMs, mostMs);
      entry.dueAt += extension;
      entry.extendedMs += extension;
    }
    this.#entries.sort((a, b) => a.dueAt - b.dueAt);
  }

  #goOn(now: number): void {
    const first = this.#entries.find(isPending);
    if (first === undefined) return;
    if (first.dueAt - now > 0.5) {
      this.#wakeFor(first, now);
      return;
    }
    this.#lastRead = setTimeout(() => this.#expire(), LAST_READ_MS);
  }

  #expire(): void {
    this.#lastRead = undefined;
    const now = performance.now();
    const errors = new Map<string, StoreTimeoutError>();
    const due = this.#entries.filter((entry) => entry.dueAt - now <= 0.5);
    for (const entry of due) {
      if (entry.isSettled) continue;
      const error = errors.get(entry.action) ?? timeoutError(entry.action, this.#timeoutMs);
      errors.set(entry.action, error);
      entry.expire(error);
    }
    this.#goOn(now);
  }

  #wakeFor({ dueAt }: Expiring, now: number): void {
    this.#timer.wakeBy(Math.min(dueAt, now + this.#timeoutMs / TICKS));
  }
}

function isPending(entry: Expiring): boolean {
  return !entry.isSettled;
}

/** The index for an entry with a deadline: behind those with an earlier one or the same. */
function indexFor(entries: readonly Expiring[], dueAt: number): number {
  let [from, to] = [0, entries.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (entries[middle]!.dueAt <= dueAt) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Waits for work at most `timeoutMs` milliseconds, on a timer of its own. */
export async function withDeadline<Result>(
  timeoutMs: number,
  action: string,
  work: Promise<Result>,
): Promise<Result> {
  const deadlines = new Deadlines(timeoutMs);
  try {
    return await deadlines.race(deadlines.begin(), action, work);
  } finally {
    deadlines.stop();
  }
}
