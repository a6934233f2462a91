import { CircuitBreakerStoreError, StoreTimeoutError } from "../errors.ts";
import { lastWaitMs } from "../time/deadline.ts";
import { IdleTimer } from "../time/idle_timer.ts";

/** What all calls for one key that leave in one statement share: how many they are, and the answer. */
export class PendingKey<Answer> {
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
  trip: InFlightStatement<Answer> | undefined;
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

/** One statement in flight. */
export interface InFlightStatement<Answer> {
  readonly seats: readonly PendingKey<Answer>[];
  /** The seats by key, where there is more than one. */
  readonly places: Places<Answer> | undefined;
  /** Seats that still wait for the answer; without any, the statement is abandoned. */
  waiting: number;
}

type Places<Answer> = Map<string, PendingKey<Answer>>;

/** Sends one statement for the keys that gathered, one seat for each; answers carry their key. */
export type Send<Answer> = (seats: readonly PendingKey<Answer>[]) => Promise<Answer[]>;

/** How a lane is bounded. */
export interface CoalescerLimits {
  /** Statements in flight at once. */
  statements: number;
  /** Keys in one statement. */
  keys: number;
  /** Calls that may wait. */
  waiting: number;
  /** How long a call waits for its answer, in milliseconds. */
  timeoutMs: number;
  /** ChangeTail of each statement. */
  onOutcome: OnOutcome;
}

/**
 * ChangeTail of a statement: the error with which it failed or was given up, or that it did not, and, where
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
export class Coalescer<Answer extends { key: string }> {
  readonly #send: Send<Answer>;
  readonly #limits: CoalescerLimits;
  #gathering: PendingKey<Answer>[] = [];
  /** The gathering seats by key, where there is more than one: most of the time, there is not. */
  #places: Places<Answer> | undefined;
  /** Seats without an answer, in the order of their deadlines; some at the front may have one. */
  #unanswered: PendingKey<Answer>[] = [];
  readonly #timer = new IdleTimer(() => this.#waitOnceMore());
  /** Whether the deadline of some is over, and they have their last moment. */
  #isLastMoment = false;
  #calls = 0;
  #inFlight = 0;
  #isScheduled = false;

  constructor(send: Send<Answer>, limits: CoalescerLimits) {
    this.#send = send;
    this.#limits = limits;
  }

  /** Takes a place in the next statement. */
  join(key: string): PendingKey<Answer> {
    if (this.#calls >= this.#limits.waiting) {
      throw new CircuitBreakerStoreError(
        `Cannot accept call: ${this.#calls} calls already wait for the database`,
      );
    }
    const seat = this.#find(key) ?? this.#add(key);
    seat.callers++;
    this.#calls++;
    if (!this.#isScheduled && this.#inFlight < this.#limits.statements) {
      // A microtask later, so that calls made in one go share one statement.
      this.#isScheduled = true;
      void DEPARTURE.then(this.#depart);
    }
    return seat;
  }

  #find(key: string): PendingKey<Answer> | undefined {
    if (this.#places !== undefined) return this.#places.get(key);
    const first = this.#gathering[0];
    return first?.key === key ? first : undefined;
  }

  #add(key: string): PendingKey<Answer> {
    const seat = new PendingKey<Answer>(key, performance.now() + this.#limits.timeoutMs);
    this.#gathering.push(seat);
    if (this.#places !== undefined) this.#places.set(key, seat);
    else if (this.#gathering.length > 1) this.#places = placesOf(this.#gathering);
    this.#unanswered.push(seat);
    if (!this.#isLastMoment) this.#timer.start(this.#limits.timeoutMs);
    return seat;
  }

  readonly #depart = (): void => {
    this.#isScheduled = false;
    while (this.#gathering.length > 0 && this.#inFlight < this.#limits.statements) {
      this.#inFlight++;
      this.#travel(this.#take());
    }
  };

  #take(): InFlightStatement<Answer> {
    let [seats, places] = [this.#gathering, this.#places];
    if (seats.length <= this.#limits.keys) {
      this.#gathering = [];
      this.#places = undefined;
    } else {
      seats = this.#gathering.splice(0, this.#limits.keys);
      for (const { key } of seats) this.#places!.delete(key);
      places = placesOf(seats);
    }
    return { seats, places, waiting: seats.length };
  }

  #travel(trip: InFlightStatement<Answer>): void {
    for (const seat of trip.seats) seat.trip = trip;
    this.#send(trip.seats).then(
      (answers) => this.#arrive(trip, answers),
      (error) => this.#fail(trip, error),
    );
  }

  #arrive({ seats, places }: InFlightStatement<Answer>, answers: Answer[]): void {
    for (const answer of answers) {
      const seat = places === undefined ? seats[0] : places.get(answer.key);
      if (seat !== undefined && this.#settle(seat)) seat.resolve(answer);
    }
    // Whoever has no answer yet asked for a key without a row.
    if (answers.length < seats.length) {
      for (const seat of seats) if (this.#settle(seat)) seat.resolve(undefined);
    }
    this.#limits.onOutcome(undefined);
    this.#tidy();
    this.#depart();
  }

  #fail({ seats }: InFlightStatement<Answer>, error: unknown): void {
    let isAwaited = false;
    for (const seat of seats) {
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
  #settle(seat: PendingKey<Answer>): boolean {
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
      seat.reject(late);
    }
    this.#gathering = this.#gathering.filter(isUnsettled);
    this.#places = placesOf(this.#gathering);
    if (begunAt !== undefined) this.#limits.onOutcome(late, begunAt);
    this.#tidy();
    this.#depart();
  }

  /** Forgets the seats that have an answer; the timer is for the others. */
  #tidy(): void {
    const first = this.#unanswered.findIndex(isUnsettled);
    if (first === -1) {
      this.#unanswered.length = 0;
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

function placesOf<Answer>(seats: readonly PendingKey<Answer>[]): Places<Answer> | undefined {
  return seats.length > 1 ? new Map(seats.map((seat) => [seat.key, seat])) : undefined;
}
