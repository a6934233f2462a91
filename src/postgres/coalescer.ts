import { StoreOverloadError, type StoreTimeoutError } from "../errors.ts";
import type { OnStatement, StatementKind } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { Deadlines, Expiring } from "../time/deadlines.ts";
import type { Demand } from "./executor.ts";

/** Calls for one key that are answered by one statement: how many they are, and their answer. */
export class PendingKey<Answer> implements Expiring {
  readonly key: string;
  readonly action: string;
  /** Failures to record, for calls that record. */
  failures = 0;
  /** Successes to record, for calls that record. */
  successes = 0;
  /** How many of both were slow. */
  slow = 0;
  /** The longest patience of the calls, for calls that claim. */
  patienceMs = 0;
  /** How many calls share it. */
  calls = 0;
  /** The answer to the key's part of the statement; `undefined` where it has no row. */
  readonly answer: Promise<Answer | undefined>;
  dueAt: number;
  extendedMs = 0;
  /** The statement that it was sent with. */
  statement: InFlightStatement<Answer> | undefined;
  isSettled = false;
  readonly expire: (error: StoreTimeoutError) => void;
  resolve!: (answer: Answer | undefined) => void;
  reject!: (reason: unknown) => void;

  constructor(
    key: string,
    action: string,
    dueAt: number,
    onExpired: (pending: PendingKey<Answer>, error: StoreTimeoutError) => void,
  ) {
    this.key = key;
    this.action = action;
    this.dueAt = dueAt;
    this.expire = (error) => onExpired(this, error);
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** A statement that was sent and has not ended. */
class InFlightStatement<Answer> implements Demand {
  readonly keys: readonly PendingKey<Answer>[];
  /** The same by key, where there is more than one. */
  readonly byKey: ByKey<Answer> | undefined;
  readonly sentAt: number;
  /** Keys without an answer. The statement is abandoned once there is none. */
  waiting: number;
  /** Whether it was reported as given up. */
  isGivenUp = false;
  refusal: Error | undefined;

  constructor(
    keys: readonly PendingKey<Answer>[],
    byKey: ByKey<Answer> | undefined,
    sentAt: number,
  ) {
    this.keys = keys;
    this.byKey = byKey;
    this.sentAt = sentAt;
    this.waiting = keys.length;
  }

  get isAwaited(): boolean {
    return this.waiting > 0;
  }
}

type ByKey<Answer> = Map<string, PendingKey<Answer>>;

/** Sends one statement for the keys that gathered. Answers carry their key. */
export type Send<Answer> = (
  keys: readonly PendingKey<Answer>[],
  demand: Demand,
) => Promise<Answer[]>;

/** Which statements answer calls, and how many calls they take. */
export interface GatherOptions {
  readonly kind: StatementKind;
  /** What its calls do, for errors: "read circuit". */
  readonly action: string;
  /** Keys in one statement. */
  readonly keys: number;
  /** Calls that may wait. */
  readonly waiting: number;
}

/** What a coalescer needs. */
export interface CoalescerOptions extends GatherOptions {
  readonly deadlines: Deadlines;
  readonly onStatement: OnStatement;
}

/** Has calls answered by statements. */
export interface Joins<Answer> {
  /** Has a call answered by the next statement. */
  join(call: Call, key: string): PendingKey<Answer>;
}

/** Cheaper than `queueMicrotask`, which some runtimes wrap. */
const MICROTASK = Promise.resolve();

/**
 * Answers concurrent calls of one kind with few statements. However many requests a gateway serves, it
 * has one statement of a kind in flight, and a hot circuit costs one row lock per statement instead
 * of one per call.
 *
 * States of a key: gathering, in flight, settled.
 * - `join`: begins to gather, or shares a key that gathers.
 * - no statement is in flight: gathering -> in flight, with all keys that gathered, a microtask later,
 *   so that calls made in one go share one statement.
 * - the statement ends: in flight -> settled, each with its answer or the error.
 * - the deadline is over: gathering or in flight -> settled, with an error. A statement whose keys are
 *   all settled is abandoned: the next one is sent although it has not ended.
 */
export class Coalescer<Answer extends { key: string }> implements Joins<Answer> {
  readonly #send: Send<Answer>;
  readonly #options: CoalescerOptions;
  #gathering: PendingKey<Answer>[] = [];
  /** The gathering keys by key, where there is more than one: most of the time, there is not. */
  #byKey: ByKey<Answer> | undefined;
  #calls = 0;
  #inFlight = 0;
  #isScheduled = false;
  #lastSent: InFlightStatement<Answer> | undefined;
  /** The clock of `performance.now()` as it was last read: reading it costs as much as the rest. */
  #now = 0;
  /** Whether keys that gather have expired: they stay in the list until the next statement. */
  #hasExpired = false;

  constructor(send: Send<Answer>, options: CoalescerOptions) {
    this.#send = send;
    this.#options = options;
  }

  join(call: Call, key: string): PendingKey<Answer> {
    if (this.#calls >= this.#options.waiting) throw this.#overload();
    const pending = this.#find(key) ?? this.#add(call, key);
    pending.calls++;
    this.#calls++;
    this.#now = call.beganAt;
    if (this.#inFlight === 0) this.#schedule();
    return pending;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    void MICROTASK.then(this.#sendGathered);
  }

  #overload(): StoreOverloadError {
    const { kind, action, onStatement } = this.#options;
    const error = new StoreOverloadError(
      `Cannot ${action}: ${this.#calls} calls already wait for the database`,
    );
    onStatement({ kind, keys: 0, calls: 0, rows: 0, ms: 0, error });
    return error;
  }

  #find(key: string): PendingKey<Answer> | undefined {
    const first = this.#gathering[0];
    const found = this.#byKey === undefined ? first : this.#byKey.get(key);
    return found?.key === key && !found.isSettled ? found : undefined;
  }

  #add(call: Call, key: string): PendingKey<Answer> {
    const { action, deadlines } = this.#options;
    const pending = new PendingKey<Answer>(key, action, call.dueAt, this.#onExpired);
    this.#gathering.push(pending);
    if (this.#byKey !== undefined) this.#byKey.set(key, pending);
    else if (this.#gathering.length > 1) this.#byKey = byKeyOf(this.#gathering);
    deadlines.add(pending, call.beganAt);
    return pending;
  }

  readonly #sendGathered = (): void => {
    this.#isScheduled = false;
    if (this.#hasExpired) this.#dropExpired();
    while (this.#gathering.length > 0 && this.#inFlight === 0) {
      this.#inFlight++;
      const statement = this.#take();
      // What was refused last is the best that is known until this one is answered.
      statement.refusal = this.#lastSent?.refusal;
      this.#lastSent = statement;
      for (const pending of statement.keys) pending.statement = statement;
      this.#send(statement.keys, statement).then(
        (answers) => this.#onAnswers(statement, answers),
        (error) => this.#onError(statement, error),
      );
    }
  };

  #take(): InFlightStatement<Answer> {
    let [keys, byKey] = [this.#gathering, this.#byKey];
    if (keys.length <= this.#options.keys) {
      this.#gathering = [];
      this.#byKey = undefined;
    } else {
      keys = this.#gathering.splice(0, this.#options.keys);
      for (const { key } of keys) this.#byKey!.delete(key);
      byKey = byKeyOf(keys);
    }
    return new InFlightStatement(keys, byKey, this.#now);
  }

  #onAnswers(statement: InFlightStatement<Answer>, answers: Answer[]): void {
    const { keys, byKey } = statement;
    statement.refusal = undefined;
    for (const answer of answers) {
      const pending = byKey === undefined ? keys[0] : byKey.get(answer.key);
      if (pending !== undefined && this.#settle(pending)) pending.resolve(answer);
    }
    // A key without an answer has no row.
    if (statement.waiting > 0) {
      for (const pending of keys) if (this.#settle(pending)) pending.resolve(undefined);
    }
    this.#report(statement, answers.length, undefined);
    this.#sendGathered();
  }

  #onError(statement: InFlightStatement<Answer>, error: unknown): void {
    let isAwaited = false;
    for (const pending of statement.keys) {
      if (!this.#settle(pending)) continue;
      pending.reject(error);
      isAwaited = true;
    }
    // The failure of an abandoned statement says nothing about now.
    if (isAwaited) this.#report(statement, 0, error);
    this.#sendGathered();
  }

  /** Settles a key; `false` where that was done before. */
  #settle(pending: PendingKey<Answer>): boolean {
    if (pending.isSettled) return false;
    pending.isSettled = true;
    this.#calls -= pending.calls;
    this.#options.deadlines.settled();
    const { statement } = pending;
    if (statement !== undefined && --statement.waiting === 0) this.#inFlight--;
    return true;
  }

  readonly #onExpired = (pending: PendingKey<Answer>, timeout: StoreTimeoutError): void => {
    const { statement } = pending;
    // A key that gathers waits for the statement that was sent last.
    const error = (statement ?? this.#lastSent)?.refusal ?? timeout;
    this.#settle(pending);
    pending.reject(error);
    if (statement === undefined) {
      this.#hasExpired = true;
      return;
    }
    if (!statement.isGivenUp) {
      statement.isGivenUp = true;
      this.#report(statement, 0, error);
    }
    // Later, because more of what gathers may expire in the same moment.
    if (statement.waiting === 0) this.#schedule();
  };

  #dropExpired(): void {
    this.#hasExpired = false;
    this.#gathering = this.#gathering.filter(({ isSettled }) => !isSettled);
    this.#byKey = byKeyOf(this.#gathering);
  }

  #report({ keys, sentAt }: InFlightStatement<Answer>, rows: number, error: unknown): void {
    const { kind, onStatement } = this.#options;
    this.#now = performance.now();
    let calls = 0;
    for (const pending of keys) calls += pending.calls;
    onStatement({ kind, keys: keys.length, calls, rows, ms: this.#now - sentAt, error });
  }
}

function byKeyOf<Answer>(keys: readonly PendingKey<Answer>[]): ByKey<Answer> | undefined {
  return keys.length > 1 ? new Map(keys.map((pending) => [pending.key, pending])) : undefined;
}
