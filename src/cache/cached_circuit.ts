import { ABSENT_CIRCUIT, type Circuit, withCounts } from "../circuit.ts";
import { isStillCounted } from "../rules/counting.ts";
import { MAX_COUNT } from "../types.ts";

/** The clocks by which a cached circuit ages. */
export interface Clocks {
  /** The clock that measures ages, in milliseconds. */
  clock: () => number;
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
}

/** The moment at which this instance sent a question to the database. */
export interface Asked {
  /** The number of the question. The instance numbers its questions and answers in one sequence. */
  order: number;
  at: number;
}

/**
 * What one instance knows of one circuit, and the successes that it acknowledged and has not counted
 * in the database yet.
 *
 * States of the circuit: unknown; known.
 * - `learn`: to known, with what a read returned.
 * - `learnWritten`: to known, with what a change of this instance returned. To unknown, where two
 *   changes crossed and their answers do not show which one the database applied last.
 * - `forget`: to unknown.
 *
 * States of a success: waiting; being counted; counted; dropped.
 * - `defer`: to waiting, for a closed circuit.
 * - `takeWaiting`: waiting -> being counted. A statement takes it to the database.
 * - `wasCounted`: being counted -> counted.
 * - `returnWaiting`: being counted -> waiting, where the statement certainly did nothing; otherwise
 *   being counted -> dropped, because a success must not count twice.
 * - `hold`: waiting stays waiting.
 * - `dropWaiting`, or `learn` with a circuit whose counter was zeroed since: waiting -> dropped.
 */
export class CachedCircuit {
  readonly key: string;
  readonly #clocks: Clocks;
  /** As the database had it; `undefined` for a circuit without a row, and for an unknown one. */
  #circuit: Circuit | undefined;
  /** When its question was sent, which is before the answer was true: `-Infinity` while unknown. */
  #askedAt = -Infinity;
  /** Calls in flight that zero the counter: until they end, no waiting success goes to the database. */
  #holds = 0;
  /** When its answer was read. */
  #learnedAt = 0;
  /** The order of the answer to this instance's own last change. */
  #writtenOrder: number;
  /** Successes that wait, successes that are being counted, and the version that both belong to. */
  #waiting = 0;
  #beingCounted = 0;
  #version = 0;
  /** How many refreshes have passed since a call last asked for the circuit. */
  idle = 0;

  constructor(key: string, clocks: Clocks, writtenOrder: number) {
    this.key = key;
    this.#clocks = clocks;
    this.#writtenOrder = writtenOrder;
  }

  /** Whether it is younger than a bound. The question comes from a call: the circuit is in use. */
  isFresh(maxStalenessMs: number, now: number): boolean {
    this.idle = 0;
    const age = now - this.#askedAt;
    // A clock that was set back says nothing about age.
    return age >= 0 && age < maxStalenessMs;
  }

  get version(): number {
    return this.#circuit?.version ?? 0;
  }

  get writtenOrder(): number {
    return this.#writtenOrder;
  }

  /** Whether a statement is counting successes. */
  get isBeingCounted(): boolean {
    return this.#beingCounted > 0;
  }

  /** Whether successes have yet to be counted. */
  get isPending(): boolean {
    return this.#waiting + this.#beingCounted > 0;
  }

  /** Lets a success wait; `false` where the database has to count it at once. */
  defer(): boolean {
    const circuit = this.#circuit;
    if (circuit !== undefined && (circuit.state !== "closed" || circuit.forced !== undefined)) {
      return false;
    }
    if (this.isPending && this.#version !== this.version) return false;
    this.#version = this.version;
    this.#waiting++;
    return true;
  }

  /** Takes the successes that wait, for a statement that counts them; `undefined` for none. */
  takeWaiting(): { successes: number; version: number } | undefined {
    if (this.#waiting === 0 || this.#beingCounted > 0 || this.#holds > 0) return undefined;
    this.#beingCounted = this.#waiting;
    this.#waiting = 0;
    return { successes: this.#beingCounted, version: this.#version };
  }

  /**
   * The statement failed. `isRefused` says that it certainly did nothing. Otherwise the database may
   * have counted the successes, and the circuit is unknown.
   */
  returnWaiting(isRefused: boolean): void {
    if (isRefused) this.#waiting += this.#beingCounted;
    else this.forget(this.#writtenOrder);
    this.#beingCounted = 0;
  }

  /** The statement has counted the successes. */
  wasCounted(): void {
    this.#beingCounted = 0;
  }

  /** Keeps the successes that wait from being taken, until the function that it returns is called. */
  hold(): () => void {
    this.#holds++;
    return () => {
      this.#holds--;
    };
  }

  /** Drops the successes that wait. */
  dropWaiting(): void {
    this.#waiting = 0;
  }

  /** Takes over what a read returned. */
  learn(circuit: Circuit | undefined, { at }: Asked): void {
    this.#circuit = circuit;
    this.#askedAt = at;
    this.#learnedAt = this.#clocks.clock();
    if (this.#waiting > 0 && circuit !== undefined && !isStillCounted(this.#version, circuit)) {
      this.#waiting = 0;
    }
  }

  /** Takes over what this instance's own change returned. `order` is the order of the answer. */
  learnWritten(circuit: Circuit | undefined, asked: Asked, order: number): void {
    const known = this.#circuit;
    const isAlone = this.#writtenOrder <= asked.order;
    this.#writtenOrder = order;
    if (isAlone) {
      this.learn(circuit, asked);
    } else if (this.#askedAt === -Infinity) {
      // Two changes crossed before, and this change was sent before that was found.
    } else if (known === undefined || circuit === undefined) {
      this.forget(order);
    } else if (circuit.version === known.version && circuit.readAt === known.readAt) {
      // One statement answered several calls, each with its own count.
      this.learn({
        ...circuit,
        failureCount: Math.max(circuit.failureCount, known.failureCount),
        successCount: Math.max(circuit.successCount, known.successCount),
      }, asked);
    } else if (circuit.version >= known.version && circuit.readAt >= known.readAt) {
      this.learn(circuit, asked);
    } else {
      // Two changes crossed. Only the database knows which one it applied last.
      this.forget(order);
    }
  }

  /** Makes the circuit unknown. The successes that have yet to be counted stay. */
  forget(order: number): void {
    this.#circuit = undefined;
    this.#askedAt = -Infinity;
    this.#writtenOrder = order;
  }

  /** The circuit as it is now for this instance. */
  shown(at: number): Circuit | undefined {
    const circuit = this.#circuit;
    if (circuit === undefined) {
      return this.isPending
        ? { ...ABSENT_CIRCUIT, key: this.key, successCount: this.#pending }
        : undefined;
    }
    const { now } = this.#clocks;
    return this.including(circuit, now === undefined ? circuit.readAt + at - this.#learnedAt : at);
  }

  /** A circuit with the successes that it does not count yet. */
  including(circuit: Circuit, readAt: number = circuit.readAt): Circuit {
    const pending = this.#pending;
    const successCount = pending > 0 && isStillCounted(this.#version, circuit)
      ? Math.min(circuit.successCount + pending, MAX_COUNT)
      : circuit.successCount;
    return withCounts(circuit, circuit.failureCount, successCount, readAt);
  }

  get #pending(): number {
    return this.#waiting + this.#beingCounted;
  }
}
