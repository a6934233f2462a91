import { CircuitBreakerStoreError } from "../errors.ts";

/**
 * Some calls for one key that leave in one statement, and the answer that they share. A hot key has
 * several seats, so that a statement can take some of its callers and leave the others.
 */
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
  /** Set when the seat leaves: all calls for the key in the statement, and those ahead of this seat. */
  party!: Party<Answer>;
  callersAhead = 0;
  failuresAhead = 0;
  successesAhead = 0;
  resolve!: (answer: Answer | undefined) => void;
  reject!: (reason: unknown) => void;

  constructor(key: string) {
    this.key = key;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** All calls for one key in one statement. */
export class Party<Answer> {
  readonly seats: Seat<Answer>[] = [];
  callers = 0;
  failures = 0;
  successes = 0;

  /** Takes in a seat, behind those that are here. */
  add(seat: Seat<Answer>): void {
    seat.party = this;
    seat.callersAhead = this.callers;
    seat.failuresAhead = this.failures;
    seat.successesAhead = this.successes;
    this.callers += seat.callers;
    this.failures += seat.failures;
    this.successes += seat.successes;
    this.seats.push(seat);
  }
}

/** Who travels in one statement, by key. */
export type Parties<Answer> = ReadonlyMap<string, Party<Answer>>;

/** Sends one statement for the keys that gathered; answers carry their key. */
export type Send<Answer> = (parties: Parties<Answer>) => Promise<Answer[]>;

/** How a lane is bounded. */
export interface LaneLimits {
  /** Statements in flight at once. */
  statements: number;
  /** Keys in one statement. */
  keys: number;
  /** Calls that may wait. */
  waiting: number;
}

/** Callers that one seat holds at most, and the fewest for whom a statement is worth splitting. */
const SEAT_SIZE = 16;

/**
 * Gathers calls of one kind. A call leaves at once where a statement may be sent; calls that arrive
 * while the lane is busy gather, and leave together as the next statement. However many requests a
 * gateway serves, a lane has at most a few statements in flight, and a hot circuit costs one row
 * lock per statement instead of one per call.
 */
export class Lane<Answer extends { key: string }> {
  readonly #send: Send<Answer>;
  readonly #limits: LaneLimits;
  /** Seats in the order of arrival. */
  #queue: Seat<Answer>[] = [];
  /** The seat of each key that still takes callers. */
  readonly #boarding = new Map<string, Seat<Answer>>();
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
    let seat = this.#boarding.get(key);
    if (seat === undefined || seat.callers === SEAT_SIZE) {
      seat = new Seat<Answer>(key);
      this.#boarding.set(key, seat);
      this.#queue.push(seat);
    }
    seat.callers++;
    this.#calls++;
    if (!this.#isScheduled && this.#inFlight < this.#limits.statements) {
      // A microtask later, so that calls made in one go share one statement.
      this.#isScheduled = true;
      queueMicrotask(this.#depart);
    }
    return seat;
  }

  readonly #depart = (): void => {
    this.#isScheduled = false;
    while (this.#queue.length > 0 && this.#inFlight < this.#limits.statements) {
      this.#inFlight++;
      void this.#travel(this.#take());
    }
  };

  /**
   * A lane with several statements in flight gives each an equal share of its calls: while the
   * callers of one work on their answer, the next one is under way. All in one statement, they
   * would all work, then all wait.
   */
  #take(): Map<string, Party<Answer>> {
    const share = Math.max(SEAT_SIZE, Math.ceil(this.#calls / this.#limits.statements));
    const parties = new Map<string, Party<Answer>>();
    let callers = 0;
    let taken = 0;
    for (const seat of this.#queue) {
      let party = parties.get(seat.key);
      if (callers >= share || party === undefined && parties.size === this.#limits.keys) break;
      if (party === undefined) {
        party = new Party();
        parties.set(seat.key, party);
      }
      party.add(seat);
      if (this.#boarding.get(seat.key) === seat) this.#boarding.delete(seat.key);
      callers += seat.callers;
      taken++;
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    return parties;
  }

  async #travel(parties: Map<string, Party<Answer>>): Promise<void> {
    try {
      for (const answer of await this.#send(parties)) {
        for (const seat of parties.get(answer.key)?.seats ?? []) seat.resolve(answer);
      }
      // Whoever has no answer asked for a key without a row; the others keep theirs.
      for (const { seats } of parties.values()) for (const seat of seats) seat.resolve(undefined);
    } catch (error) {
      for (const { seats } of parties.values()) for (const seat of seats) seat.reject(error);
    } finally {
      for (const { callers } of parties.values()) this.#calls -= callers;
      this.#inFlight--;
      this.#depart();
    }
  }
}
