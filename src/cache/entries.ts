import type { Circuit } from "../circuit.ts";
import { CachedCircuit } from "./cached_circuit.ts";
import type { Asked } from "./origin.ts";
import type { Clocks } from "./origin.ts";

/** How many circuits an instance caches at most: those used last. */
const CAPACITY = 10_000;

/** How many circuits are examined in the search for one to drop: that can be dropped, and that cannot. */
const CANDIDATES = 64;
const OTHERS = 1000;

/** A question for one circuit. Without an entry, because there is no room, its answer is not kept. */
export interface Question extends Asked {
  readonly entry: CachedCircuit | undefined;
}

/**
 * The circuits that one instance caches, and the order of its questions and their answers.
 *
 * A circuit has an entry while it is known, while a question for it is in flight, and while its
 * successes wait: what the log says of a circuit that is only asked for must not be lost, because the
 * answer can be older. Only an entry without a question in flight is dropped.
 */
export class CacheEntries {
  readonly #clocks: Clocks;
  readonly #hasFailureWindow: boolean;
  readonly #onUse: (isInUse: boolean) => void;
  readonly #entries = new Map<string, CachedCircuit>();
  readonly #onLearned: ((entry: CachedCircuit, circuit: Circuit) => void) | undefined;
  /** The order of the last question or answer. */
  #order = 0;
  /** No answer to a question before this one is kept. */
  #fence = 0;

  /**
   * `onUse` is called when the first entry is added, and when the last one is dropped; `onLearned` with
   * each circuit that an entry took over.
   */
  constructor(
    clocks: Clocks,
    hasFailureWindow: boolean,
    onUse: (isInUse: boolean) => void,
    onLearned?: (entry: CachedCircuit, circuit: Circuit) => void,
  ) {
    this.#clocks = clocks;
    this.#hasFailureWindow = hasFailureWindow;
    this.#onUse = onUse;
    this.#onLearned = onLearned;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): CachedCircuit | undefined {
    return this.#entries.get(key);
  }

  all(): CachedCircuit[] {
    return [...this.#entries.values()];
  }

  nextOrder(): number {
    return ++this.#order;
  }

  /** Numbers a question that is for no certain circuit. */
  askAny(): Asked {
    return { order: ++this.#order, at: this.#clocks.clock() };
  }

  /** Numbers a question before it is sent. `end` it when it is answered, or has failed. */
  ask(key: string): Question {
    const entry = this.#findOrAdd(key);
    const at = this.#clocks.clock();
    if (entry !== undefined) {
      entry.inFlight++;
      entry.questionAt = at;
    }
    return { order: ++this.#order, at, entry };
  }

  /** A question for an entry has been answered, or has failed. */
  end(entry: CachedCircuit | undefined): void {
    if (entry === undefined) return;
    entry.inFlight--;
    if (entry.inFlight === 0 && !entry.isKnown && entry.successes.pending === 0) this.#drop(entry);
  }

  /** Takes over what a plain read returned. Returns `false` where it is ignored. */
  learnRead(entry: CachedCircuit, circuit: Circuit | undefined, asked: Asked): boolean {
    if (this.#isBeforeFence(entry, asked)) return false;
    this.#learn(entry, circuit, asked, false);
    return true;
  }

  /** Takes over what a write of this instance returned. */
  learnWritten(entry: CachedCircuit, circuit: Circuit | undefined, asked: Asked): void {
    // It says nothing of what is true now, and what was read since may lack it.
    if (this.#isBeforeFence(entry, asked)) this.forget(entry);
    else this.#learn(entry, circuit, asked, true);
  }

  /** Takes over what the log says, also for a circuit that is only asked for. */
  learnLogged(key: string, circuit: Circuit | undefined, asked: Asked): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (entry.isKnown || !this.#isBeforeFence(entry, asked)) {
      this.#learn(entry, circuit, asked, false);
    } else {
      // It can be too old to be kept. An answer to what is in flight can be older still.
      entry.ignoreBefore(++this.#order);
    }
  }

  #learn(
    entry: CachedCircuit,
    circuit: Circuit | undefined,
    asked: Asked,
    isWrite: boolean,
  ): void {
    entry.learn({ circuit, asked, order: ++this.#order, isWrite });
    if (circuit !== undefined) this.#onLearned?.(entry, circuit);
  }

  #isBeforeFence(entry: CachedCircuit, { order }: Asked): boolean {
    return order < this.#fence || order < entry.fence;
  }

  /** Forgets what was asked for before an order. No answer to such a question is kept. */
  forgetBefore(order: number): void {
    this.#fence = order;
    for (const entry of this.#entries.values()) if (entry.askedOrder < order) this.forget(entry);
  }

  /**
   * Forgets all circuits. `hasCounts` is whether the counts that were shown still hold, where they are
   * read again.
   */
  forgetAll(hasCounts: boolean): void {
    this.#fence = ++this.#order;
    for (const entry of this.#entries.values()) {
      if (!hasCounts) entry.successes.forget();
      entry.forget();
    }
  }

  /** Makes a circuit unknown. What is in flight is ignored. */
  forget(entry: CachedCircuit): void {
    entry.forget();
    entry.ignoreBefore(++this.#order);
    if (entry.inFlight === 0 && entry.successes.pending === 0) this.#drop(entry);
  }

  /** An interval has passed: drops circuits that are out of use. */
  passInterval(): void {
    for (const entry of this.#entries.values()) {
      entry.passInterval();
      if (entry.isOutOfUse && entry.isDroppable) this.#drop(entry);
    }
  }

  /** The circuits whose successes are to be counted. */
  countable(): CachedCircuit[] {
    return this.all().filter((entry) => entry.isCountable);
  }

  /** Whether there are any. */
  get hasCountable(): boolean {
    for (const entry of this.#entries.values()) if (entry.isCountable) return true;
    return false;
  }

  /** How many successes have yet to be counted. */
  get pending(): number {
    let pending = 0;
    for (const { successes } of this.#entries.values()) pending += successes.pending;
    return pending;
  }

  #findOrAdd(key: string): CachedCircuit | undefined {
    const found = this.#entries.get(key);
    if (found !== undefined) return found;
    if (this.#entries.size >= CAPACITY && !this.#makeRoom()) return undefined;
    const entry = new CachedCircuit(key, this.#clocks, this.#hasFailureWindow);
    // A page of the log that was asked for before can be older than what was dropped.
    entry.ignoreBefore(this.#order + 1);
    this.#entries.set(key, entry);
    if (this.#entries.size === 1) this.#onUse(true);
    return entry;
  }

  /** Drops the first circuit that is not in use. Moves those that stay to the end. */
  #makeRoom(): boolean {
    let [candidates, others] = [CANDIDATES, OTHERS];
    let last: CachedCircuit | undefined;
    for (const [key, entry] of this.#entries) {
      if (entry.isDroppable ? candidates-- === 0 : others-- === 0) break;
      if (entry.isDroppable) {
        if (entry.idle > 0) {
          this.#drop(entry);
          return true;
        }
        if (last === undefined || !entry.isRegular) last = entry;
      }
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    if (last !== undefined) this.#drop(last);
    return last !== undefined;
  }

  #drop(entry: CachedCircuit): void {
    // One that was dropped with a question in flight may have been replaced by another.
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    if (this.#entries.size === 0) this.#onUse(false);
  }
}
