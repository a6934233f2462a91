import { CircuitBreakerStoreError, StoreTimeoutError } from "../errors.ts";
import { lastWaitMs } from "../deadline.ts";
import { IdleTimer } from "../idle_timer.ts";

/** What all calls for one key that leave in one statement share: how many they are, and the answer. */
export class Seat<Answer> {
  readonly key: string;
  /** Failures to record, for those who record. */
  failures = 0;
  /** Successes to record, for those who record. */
  successes = 0;
  /** How many callers share the seat. */
  callers = 0;
  /** The answer to the key's part of the statement; `undefined` where it has no row. */
  readonly answer: Promise<Answer | undefined>;
  /** When its callers give up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** The statement that it left in. */
  trip: Trip<Answer> | undefined;
  isSettled = false;
  resolve!: (answer: Answer | undefined) => void;
  reject!: (reason: unknown) => void;

  constructor(key: string, deadline: number) {
    this.key = key;
    this.deadline = deadline;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** The seats of one statement, by key. */
export type Seats<Answer> = ReadonlyMap<string, Seat<Answer>>;

/** One statement in flight. */
export interface Trip<Answer> {
  readonly seats: Seats<Answer>;
  /** Seats that still wait for the answer; without any, the statement is abandoned. */
  waiting: number;
}

/** Sends one statement for the keys that gathered; answers carry their key. */
export type Send<Answer> = (seats: Seats<Answer>) => Promise<Answer[]>;

/** How a lane is bounded. */
export interface LaneLimits {
  /** Statements in flight at once. */
  statements: number;
  /** Keys in one statement. */
  keys: number;
  /** Calls that may wait. */
  waiting: number;
  /** How long a call waits for its answer, in milliseconds. */
  timeoutMs: number;
  /** Told of each statement. */
  onOutcome: OnOutcome;
}

/**
 * Told of a statement: the error with which it failed or was given up, or that it did not, and, where
 * it was given up, when it was begun on the clock of `performance.now()`.
 */
export type OnOutcome = (error: unknown, begunAt?: number) => void;

/** Cheaper than `queueMicrotask`, which some runtimes wrap. */
const DEPARTURE = Promise.resolve();

/**
 * Gathers calls of one kind. A call leaves at once where a statement may be sent; calls that arrive
 * while the lane is busy gather, and leave together as the next statement. However many requests a
 * gateway serves, a lane has at most a few statements in flight, and a hot circuit costs one row
 * lock per statement instead of one per call.
 */
export class Lane<Answer extends { key: string }> {
  readonly #send: Send<Answer>;
  readonly #limits: LaneLimits;
  #gathering = new Map<string, Seat<Answer>>();
  /** Seats without an answer, in the order of their deadlines; some at the front may have one. */
  #unanswered: Seat<Answer>[] = [];
  readonly #timer = new IdleTimer(() => this.#waitOnceMore());
  /** Whether the deadline of some is over, and they have their last moment. */
  #isLastMoment = false;
  #calls = 0;
  #inFlight = 0;
  #isScheduled = false;

  constructor(send: Send<Answer>, limits: LaneLimits) {
    this.#send = send;
    this.#limits = limits;
  }

  /** Takes a place in the next statement. */
  join(key: string): Seat<Answer> {
    if (this.#calls >= this.#limits.waiting) {
      throw new CircuitBreakerStoreError(
        `Cannot accept call: ${this.#calls} calls already wait for the database`,
      );
    }
    let seat = this.#gathering.get(key);
    if (seat === undefined) {
      seat = new Seat<Answer>(key, performance.now() + this.#limits.timeoutMs);
      this.#gathering.set(key, seat);
      this.#unanswered.push(seat);
      if (!this.#isLastMoment) this.#timer.start(this.#limits.timeoutMs);
    }
    seat.callers++;
    this.#calls++;
    if (!this.#isScheduled && this.#inFlight < this.#limits.statements) {
      // A microtask later, so that calls made in one go share one statement.
      this.#isScheduled = true;
      void DEPARTURE.then(this.#depart);
    }
    return seat;
  }

  readonly #depart = (): void => {
    this.#isScheduled = false;
    while (this.#gathering.size > 0 && this.#inFlight < this.#limits.statements) {
      this.#inFlight++;
      this.#travel(this.#take());
    }
  };

  #take(): Map<string, Seat<Answer>> {
    const gathered = this.#gathering;
    if (gathered.size <= this.#limits.keys) {
      this.#gathering = new Map();
      return gathered;
    }
    const taken = new Map<string, Seat<Answer>>();
    for (const [key, seat] of gathered) {
      if (taken.size === this.#limits.keys) break;
      taken.set(key, seat);
      gathered.delete(key);
    }
    return taken;
  }

  #travel(seats: Map<string, Seat<Answer>>): void {
    const trip = { seats, waiting: seats.size };
    for (const seat of seats.values()) seat.trip = trip;
    this.#send(seats).then(
      (answers) => this.#arrive(trip, answers),
      (error) => this.#fail(trip, error),
    );
  }

  #arrive({ seats }: Trip<Answer>, answers: Answer[]): void {
    for (const answer of answers) {
      const seat = seats.get(answer.key);
      if (seat !== undefined && this.#settle(seat)) seat.resolve(answer);
    }
    // Whoever has no answer yet asked for a key without a row.
    if (answers.length < seats.size) {
      for (const seat of seats.values()) if (this.#settle(seat)) seat.resolve(undefined);
    }
    this.#limits.onOutcome(undefined);
    this.#tidy();
    this.#depart();
  }

  #fail({ seats }: Trip<Answer>, error: unknown): void {
    let isAwaited = false;
    for (const seat of seats.values()) {
      if (!this.#settle(seat)) continue;
      seat.reject(error);
      isAwaited = true;
    }
    // What everybody had given up on says nothing about now.
    if (isAwaited) this.#limits.onOutcome(error);
    this.#tidy();
    this.#depart();
  }

  /** Takes a seat off the books; `false` where that was done before. */
  #settle(seat: Seat<Answer>): boolean {
    if (seat.isSettled) return false;
    seat.isSettled = true;
    this.#calls -= seat.callers;
    // The last of its seats frees the lane, also where the statement itself still hangs.
    if (seat.trip !== undefined && --seat.trip.waiting === 0) this.#inFlight--;
    return true;
  }

  #waitOnceMore(): void {
    const dueAt = this.#unanswered.find(isUnsettled)?.deadline ?? Infinity;
    this.#isLastMoment = true;
    setTimeout(() => this.#expire(), lastWaitMs(dueAt));
  }

  /** Gives up on the seats whose time is over, whatever became of their statement. */
  #expire(): void {
    this.#isLastMoment = false;
    const { timeoutMs } = this.#limits;
    const late = new StoreTimeoutError(
      `Cannot wait for the database: no answer in ${timeoutMs} ms`,
    );
    const now = performance.now();
    let begunAt: number | undefined;
    for (const seat of this.#unanswered) {
      if (seat.deadline - now > 0.5) break;
      if (!this.#settle(seat)) continue;
      begunAt = seat.deadline - timeoutMs;
      if (seat.trip === undefined) this.#gathering.delete(seat.key);
      seat.reject(late);
    }
    if (begunAt !== undefined) this.#limits.onOutcome(late, begunAt);
    this.#tidy();
    this.#depart();
  }

  /** Forgets the seats that have an answer; the timer is for the others. */
  #tidy(): void {
    const first = this.#unanswered.findIndex(isUnsettled);
    if (first === -1) {
      if (this.#unanswered.length > 0) this.#unanswered = [];
      this.#timer.rest();
    } else if (!this.#isLastMoment) {
      if (first > 0) this.#unanswered = this.#unanswered.slice(first);
      this.#timer.start(Math.max(0, this.#unanswered[0]!.deadline - performance.now()));
    }
  }
}

function isUnsettled(seat: { isSettled: boolean }): boolean {
  return !seat.isSettled;
}
