import type { Circuit } from "../circuit.ts";
import type { Waiting } from "../ports.ts";
import { MAX_COUNT } from "../types.ts";
import type { Asked } from "./origin.ts";

/**
 * The successes of one circuit as one instance counts them: those that the database has, and those
 * that the instance acknowledged and that wait to be counted.
 *
 * States of a success that waits: waiting; being counted; counted; dropped.
 * - `defer`: to waiting.
 * - `take`: waiting -> being counted. A statement takes it to the database.
 * - `wasCounted`: being counted -> counted.
 * - `putBack`: being counted -> waiting, where the statement certainly did not count it.
 * - `drop`: being counted -> dropped, where the database may have counted it.
 * - `learn` with a circuit that was zeroed after the success, or `zero`: waiting -> dropped.
 *
 * The count that is shown only grows until the circuit is zeroed. It is the highest of what is
 * certain: what a read returned plus the successes that were certainly not in it, and what was shown
 * before plus each success since. It is never more than the fleet has acknowledged.
 */
export class SuccessCount {
  #waiting = 0;
  #beingCounted = 0;
  /** How many of those that wait were slow. */
  #slowWaiting = 0;
  /** The version that these are successes of. They count unless the circuit was zeroed since. */
  #version = 0;
  #shown = 0;
  /** The zeroing since which `#shown` counts; -1 where nothing is known. */
  #zeroedVersion = -1;
  /** What was shown at one moment, and the own successes that were asked for after it. */
  #mark = 0;
  #sinceMark = 0;
  #markOrder = 0;
  /** When successes of this instance were last added to the database. */
  #countedOrder = 0;

  /** The version that the successes are of. It stays when the circuit becomes unknown. */
  get version(): number {
    return this.#version;
  }

  get shown(): number {
    return this.#shown;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get beingCounted(): number {
    return this.#beingCounted;
  }

  /** How many successes have yet to be counted. */
  get pending(): number {
    return this.#waiting + this.#beingCounted;
  }

  /** Lets a success of a version wait. */
  defer(version: number, isSlow?: boolean): void {
    this.#version = version;
    this.#waiting++;
    if (isSlow) this.#slowWaiting++;
    this.#sinceMark++;
    if (this.#shown < MAX_COUNT) this.#shown++;
  }

  /**
   * Takes the successes that wait. `order` is the order of the statement that counts them. Several
   * statements may count at once, each what it took.
   */
  take(order: number): Waiting {
    const [successes, slow] = [this.#waiting, this.#slowWaiting];
    this.#beingCounted += successes;
    this.#waiting = this.#slowWaiting = 0;
    this.#setMark(order);
    return { successes, slow, version: this.#version };
  }

  /** What was taken has been counted. `order` is the order of the answer. */
  wasCounted(taken: Waiting, order: number): void {
    this.#end(taken);
    this.#countedOrder = order;
  }

  /** What was taken was certainly not counted. */
  putBack(taken: Waiting): void {
    const { successes, slow } = this.#end(taken);
    this.#waiting += successes;
    this.#slowWaiting += slow;
  }

  /** What was taken may have been counted. Also forgets what was shown, because it included them. */
  drop(taken: Waiting): void {
    this.#end(taken);
    this.forget();
  }

  /** Forgets what was shown. The successes that wait stay. */
  forget(): void {
    this.#zeroedVersion = -1;
  }

  /** This instance has zeroed a circuit that had nothing to zero in the database. */
  zero(circuit: Circuit | undefined, order: number): void {
    this.#dropAll();
    this.forget();
    this.learn(circuit, order);
  }

  /** Takes over the circuit that is known from now on. `order` is the order of its answer. */
  learn(circuit: Circuit | undefined, order: number): void {
    const zeroedVersion = circuit?.zeroedVersion ?? 0;
    if (this.#version < zeroedVersion) this.#dropAll();
    // No success that waits was zeroed up to this version.
    this.#version = circuit?.version ?? 0;
    if (zeroedVersion === this.#zeroedVersion) {
      this.observe(circuit);
    } else {
      this.#zeroedVersion = zeroedVersion;
      this.#shown = this.#certainOf(circuit);
      this.#setMark(order);
    }
  }

  /**
   * Whether a circuit lacks successes that were shown, although it was asked for after everything that
   * is known was put here: its row was replaced by another.
   */
  hasFallen(circuit: Circuit | undefined, asked: Asked): boolean {
    return (circuit?.zeroedVersion ?? 0) === this.#zeroedVersion &&
      asked.order > this.#countedOrder &&
      (circuit?.successCount ?? 0) + this.pending < this.#shown;
  }

  /** Takes over only the count of a circuit, which is known in a newer form already. */
  observe(circuit: Circuit | undefined): void {
    if ((circuit?.zeroedVersion ?? 0) !== this.#zeroedVersion) return;
    this.#shown = Math.max(this.#shown, this.#certainOf(circuit));
  }

  /** The database has counted a success of this instance at once. `order` is that of the answer. */
  wasRecorded(circuit: Circuit | undefined, asked: Asked, order: number): void {
    this.#countedOrder = order;
    if (circuit?.zeroedVersion !== this.#zeroedVersion || asked.order < this.#markOrder) return;
    this.#sinceMark++;
    this.#shown = Math.min(Math.max(this.#shown, this.#mark + this.#sinceMark), MAX_COUNT);
  }

  /**
   * The successes of a circuit, with those that the database has not counted in it: they are shown from
   * now on, also where the circuit itself is not taken over.
   */
  of(circuit: Circuit): number {
    this.observe(circuit);
    if (circuit.zeroedVersion === this.#zeroedVersion) return this.#shown;
    return circuit.zeroedVersion > this.#zeroedVersion && circuit.zeroedVersion <= this.#version
      ? this.#certainOf(circuit)
      : circuit.successCount;
  }

  #dropAll(): void {
    this.#waiting = this.#beingCounted = this.#slowWaiting = 0;
  }

  /** What is left of what was taken: a zeroing drops it. */
  #end({ successes, slow = 0 }: Waiting): { successes: number; slow: number } {
    const left = Math.min(successes, this.#beingCounted);
    this.#beingCounted -= left;
    return { successes: left, slow: left === successes ? slow : 0 };
  }

  #certainOf(circuit: Circuit | undefined): number {
    return Math.min((circuit?.successCount ?? 0) + this.#waiting, MAX_COUNT);
  }

  #setMark(order: number): void {
    this.#mark = this.#shown;
    this.#sinceMark = 0;
    this.#markOrder = order;
  }
}
