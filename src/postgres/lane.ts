import { CircuitBreakerStoreError } from "../errors.ts";

/** What all calls for one key that leave in one statement share: how many they are, and the answer. */
export class Seat<Answer> {
  /** Failures to record, for those who record. */
  failures = 0;
  /** Successes to record, for those who record. */
  successes = 0;
  /** How many callers wait. */
  callers = 0;
  /** The answer to the key's part of the statement; `undefined` where it has no row. */
  readonly answer: Promise<Answer | undefined>;
  resolve!: (answer: Answer | undefined) => void;
  reject!: (reason: unknown) => void;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** Sends one statement for the keys that gathered; answers carry their key. */
export type Send<Answer> = (seats: ReadonlyMap<string, Seat<Answer>>) => Promise<Answer[]>;

/** How a lane is bounded. */
export interface LaneLimits {
  /** Statements in flight at once. */
  statements: number;
  /** Keys in one statement. */
  keys: number;
  /** Calls that may wait. */
  waiting: number;
}

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
  #waiting = 0;
  #inFlight = 0;
  #isScheduled = false;

  constructor(send: Send<Answer>, limits: LaneLimits) {
    this.#send = send;
    this.#limits = limits;
  }

  /** Takes the key's seat in the next statement. */
  join(key: string): Seat<Answer> {
    if (this.#waiting >= this.#limits.waiting) {
      throw new CircuitBreakerStoreError(
        `Cannot accept call: ${this.#waiting} calls already wait for the database`,
      );
    }
    let seat = this.#gathering.get(key);
    if (seat === undefined) {
      seat = new Seat<Answer>();
      this.#gathering.set(key, seat);
    }
    seat.callers++;
    this.#waiting++;
    if (!this.#isScheduled && this.#inFlight < this.#limits.statements) {
      // A microtask later, so that calls made in one go share one statement.
      this.#isScheduled = true;
      queueMicrotask(this.#depart);
    }
    return seat;
  }

  readonly #depart = (): void => {
    this.#isScheduled = false;
    while (this.#gathering.size > 0 && this.#inFlight < this.#limits.statements) {
      this.#inFlight++;
      void this.#travel(this.#take());
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

  async #travel(seats: Map<string, Seat<Answer>>): Promise<void> {
    try {
      const answers = await this.#send(seats);
      for (const answer of answers) {
        seats.get(answer.key)?.resolve(answer);
      }
      // A key without a row; resolving one that has an answer already does nothing.
      if (answers.length < seats.size) {
        for (const seat of seats.values()) seat.resolve(undefined);
      }
    } catch (error) {
      for (const seat of seats.values()) seat.reject(error);
    } finally {
      for (const seat of seats.values()) this.#waiting -= seat.callers;
      this.#inFlight--;
      this.#depart();
    }
  }
}
