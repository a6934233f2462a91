import { ABSENT_CIRCUIT, type Circuit, withCounts } from "../circuit.ts";
import { forcedAt } from "../rules/forcing.ts";
import type { Asked, Clocks } from "./origin.ts";
import { SuccessCount } from "./success_count.ts";

/** An answer: what it says, when it was asked for, and when it was read. */
export interface Learned {
  readonly circuit: Circuit | undefined;
  readonly asked: Asked;
  /** The order of the answer. */
  readonly order: number;
  /** Whether it is the answer to a write of this instance, which it includes. */
  readonly isWrite: boolean;
}

/** A circuit that was used in fewer intervals is not worth a row, or a whole read. */
const REGULAR_INTERVALS = 2;

/** How many intervals without use it takes to drop a circuit that is not in regular use, and one that was. */
const IDLE_INTERVALS = 10;
const REGULAR_IDLE_INTERVALS = 60;

/**
 * What one instance knows of one circuit.
 *
 * States: unknown; known (with a row, or without one: absent).
 * - `learn`: to known. An answer that was asked for after the known one was put here replaces it. Of
 *   two answers whose questions overlap, the higher version stays: a lower one is ignored. With the
 *   same version both are true, and counters only grow, so the highest ones stay.
 * - `forget`: to unknown. Its successes that wait stay.
 */
export class CachedCircuit {
  readonly key: string;
  readonly successes: SuccessCount = new SuccessCount();
  readonly #clocks: Clocks;
  readonly #hasFailureWindow: boolean;
  #isKnown = false;
  /** As the database had it; `undefined` for a circuit without a row, and for an unknown one. */
  #circuit: Circuit | undefined;
  /** The last question whose answer is contained in it. */
  #askedOrder = 0;
  #askedAt = -Infinity;
  /** When it was put here: the order, and the moment by the clock that measures ages. */
  #putOrder = 0;
  #learnedAt = 0;
  /** The version of a forced state that was shown as ended. */
  #endedVersion: number | undefined;
  /** The order of the last own write in it, which reads that were asked for before can lack; 0 for none. */
  #writtenOrder = 0;
  /** No answer to an earlier question is kept. */
  #fence = 0;
  /** Questions in flight. The log's changes are meant for these too. */
  inFlight = 0;
  /** When the last one was asked. */
  questionAt: number = -Infinity;
  /** How many intervals have passed since a call last asked for the circuit. */
  idle = 0;
  /** In how many intervals it was used. */
  #intervals = 0;

  constructor(key: string, clocks: Clocks, hasFailureWindow: boolean) {
    this.key = key;
    this.#clocks = clocks;
    this.#hasFailureWindow = hasFailureWindow;
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** As the database had it; `undefined` for a circuit without a row, and for an unknown one. */
  get circuit(): Circuit | undefined {
    return this.#circuit;
  }

  /** The version that is known. An absent circuit has version 0, and so has an unknown one. */
  get version(): number {
    return this.#circuit?.version ?? 0;
  }

  get askedOrder(): number {
    return this.#askedOrder;
  }

  /** Whether it is known to have no row. */
  get isAbsent(): boolean {
    return this.#isKnown && this.#circuit === undefined;
  }

  /** Whether it is known in another state than closed, or forced: also where that has ended by its time. */
  get isUnsettled(): boolean {
    const circuit = this.#circuit;
    return circuit !== undefined && (circuit.state !== "closed" || circuit.forced !== undefined);
  }

  /** Whether it is in use in more than one interval. */
  get isRegular(): boolean {
    return this.#intervals >= REGULAR_INTERVALS;
  }

  /** Whether its successes are to be counted: not those of a key that needs no row. */
  get isCountable(): boolean {
    return this.successes.waiting > 0 && !this.#needsNoRow;
  }

  /** Whether it can be dropped without losing more than an unknown key's successes. */
  get isDroppable(): boolean {
    if (this.#isAsked || this.successes.beingCounted > 0) return false;
    return this.successes.waiting === 0 || this.#needsNoRow;
  }

  /** Whether it is out of use. */
  get isOutOfUse(): boolean {
    return this.idle > (this.isRegular ? REGULAR_IDLE_INTERVALS : IDLE_INTERVALS);
  }

  /** Whether an answer can still come: a question whose request was cancelled never has one. */
  get #isAsked(): boolean {
    const { clock, answerWithinMs = Infinity } = this.#clocks;
    return this.inFlight > 0 && clock() - this.questionAt <= answerWithinMs;
  }

  get #needsNoRow(): boolean {
    return this.isAbsent && !this.isRegular;
  }

  /**
   * Whether it is known as of less than a bound ago. `validAt` is the moment as of which everything
   * known is. The question comes from a call: the circuit is in use.
   */
  isFresh(maxStalenessMs: number, now: number, validAt: number): boolean {
    this.idle = 0;
    // Failures leave a window without a change, so what the log says keeps no count of them fresh.
    const isSliding = this.#hasFailureWindow && this.#circuit !== undefined &&
      this.#circuit.failureCount > 0;
    const age = now - (this.#askedAt > validAt || isSliding ? this.#askedAt : validAt);
    // A clock that was set back says nothing about age.
    return this.#isKnown && age >= 0 && age < maxStalenessMs;
  }

  /** An interval has passed. */
  passInterval(): void {
    if (this.idle++ === 0) this.#intervals++;
  }

  /** Lets a success wait; `false` where the database has to count it at once. */
  defer(at: number, isSlow?: boolean): boolean {
    const circuit = this.#circuit;
    if (circuit !== undefined) {
      if (circuit.state !== "closed") return false;
      const { forced } = circuit;
      if (forced !== undefined && forcedAt(forced, this.#timeAt(circuit, at))) return false;
    }
    this.successes.defer(circuit?.version ?? 0, isSlow);
    return true;
  }

  /**
   * For how long a rate has seemed to make it due to open, in milliseconds. Infinite where none does, or a
   * record has decided.
   */
  suspicionAge(at: number): number {
    const circuit = this.#circuit;
    if (circuit === undefined || circuit.details.suspectAt === 0) return Infinity;
    return this.#timeAt(circuit, at) - circuit.details.suspectAt;
  }

  /** Takes over an answer, as far as it is not older than what is known. */
  learn(learned: Learned): void {
    const { circuit, asked, order, isWrite } = learned;
    const version = circuit?.version ?? 0;
    const knownVersion = this.#circuit?.version ?? 0;
    if (!this.#isKnown || asked.order > this.#putOrder) {
      if (this.#isKnown && this.successes.hasFallen(circuit, asked)) this.successes.forget();
      this.#writtenOrder = isWrite ? order : 0;
      this.#put(circuit, learned);
    } else if (version > knownVersion) {
      this.#writtenOrder = isWrite ? order : 0;
      this.#put(circuit, learned);
    } else if (version === knownVersion) {
      const isLater = asked.order > this.#askedOrder;
      const merged = this.#merge(learned, isLater);
      if (isWrite) this.#writtenOrder = order;
      this.#put(merged, learned, isLater);
    } else {
      this.successes.observe(circuit);
    }
    if (asked.order < this.#askedOrder) return;
    this.#askedOrder = asked.order;
    this.#askedAt = asked.at;
  }

  /**
   * This instance has zeroed it. `before` is the version that its successes had when it was asked to:
   * a zeroing that takes place after that has a higher version.
   */
  zeroed(answered: Circuit | undefined, before: number, order: number): void {
    // The database had no success to zero. Those that this instance acknowledged before still wait.
    const hadNone = (answered?.zeroedVersion ?? 0) <= before;
    if (hadNone && (answered?.state ?? "closed") === "closed") {
      this.successes.zero(this.#circuit, order);
    }
  }

  /** No answer to a question that was asked before this order is kept. */
  ignoreBefore(order: number): void {
    this.#fence = order;
  }

  get fence(): number {
    return this.#fence;
  }

  /** Makes the circuit unknown. The successes that have yet to be counted stay. */
  forget(): void {
    this.#isKnown = false;
    this.#circuit = undefined;
    this.#askedOrder = 0;
    this.#askedAt = -Infinity;
  }

  /** The circuit as it is now for this instance. */
  shown(at: number): Circuit | undefined {
    const circuit = this.#circuit;
    const { shown } = this.successes;
    if (circuit === undefined) {
      return shown > 0 ? { ...ABSENT_CIRCUIT, key: this.key, successCount: shown } : undefined;
    }
    const time = this.#timeAt(circuit, at);
    if (circuit.forced !== undefined && forcedAt(circuit.forced, time) === undefined) {
      this.#endedVersion = circuit.version;
    }
    return withCounts(circuit, circuit.failureCount, shown, time);
  }

  /** A circuit as the database has it, with the successes that it does not count yet. */
  including<Found extends Circuit>(circuit: Found): Found {
    return { ...circuit, successCount: this.successes.of(circuit) };
  }

  /** The time of the clock that decides. */
  #timeAt(circuit: Circuit, at: number): number {
    return this.#clocks.now === undefined ? circuit.readAt + at - this.#learnedAt : at;
  }

  #put(circuit: Circuit | undefined, { asked, order }: Learned, isLater = true): void {
    if (isLater) {
      const now = this.#clocks.clock();
      circuit = this.#withEnd(circuit, asked, now);
      this.#learnedAt = now;
    }
    this.#isKnown = true;
    this.#circuit = circuit;
    this.#putOrder = order;
    this.successes.learn(circuit, order);
  }

  /**
   * An answer that was long under way is from before the end of a forced state that was shown as ended
   * since. It stays ended, unless the database's clock was set back and cannot have reached the end.
   */
  #withEnd(circuit: Circuit | undefined, asked: Asked, now: number): Circuit | undefined {
    const until = circuit?.forced?.until;
    if (circuit === undefined || until === undefined || circuit.version !== this.#endedVersion) {
      return circuit;
    }
    const isReachable = until <= circuit.readAt + now - asked.at;
    return until > circuit.readAt && isReachable ? { ...circuit, readAt: until } : circuit;
  }

  /** Two answers of one version, whose questions overlap. */
  #merge({ circuit, asked, isWrite }: Learned, isLater: boolean): Circuit | undefined {
    const known = this.#circuit;
    if (circuit === undefined || known === undefined) return circuit ?? known;
    const [later, earlier] = isLater ? [circuit, known] : [known, circuit];
    // Failures leave a window, so that the highest count can be an old one. A read that was asked for
    // before an own write was answered can lack it.
    const hasWrites = !isWrite && (isLater ? asked.order : this.#askedOrder) > this.#writtenOrder;
    const failureCount = this.#hasFailureWindow && hasWrites
      ? later.failureCount
      : Math.max(later.failureCount, earlier.failureCount);
    return {
      ...later,
      failureCount,
      successCount: Math.max(later.successCount, earlier.successCount),
      lastFailureTime: Math.max(later.lastFailureTime, earlier.lastFailureTime),
      // A probe that was ignored gave its slot back. A claim finds out which of them is true.
      probeCount: Math.min(later.probeCount, earlier.probeCount),
      probeExpiresAt: Math.max(later.probeExpiresAt, earlier.probeExpiresAt),
      // In one version only the successes of probes grow. Renewed votes of both stand.
      details: later.details.probeSettled >= earlier.details.probeSettled
        ? later.details
        : { ...later.details, probeSettled: earlier.details.probeSettled },
    };
  }
}
