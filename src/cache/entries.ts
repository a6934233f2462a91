import type { Circuit } from "../circuit.ts";
import type { Deferred } from "../ports.ts";
import { type Asked, CachedCircuit, type Clocks } from "./cached_circuit.ts";

/** How many circuits an instance caches at most: those used last. */
const CAPACITY = 10_000;

/** How many circuits are examined in the search for one that can be dropped. */
const CANDIDATES = 64;

/** The circuits that one instance caches, and the order of its questions and their answers. */
export class CacheEntries {
  readonly #clocks: Clocks;
  readonly #entries = new Map<string, CachedCircuit>();
  readonly #onChange: ((key: string, isKnown: boolean) => void) | undefined;
  /** The order of the last question or answer. */
  #order = 0;
  /**
   * The highest order of an own change to a circuit that was dropped. The answer to an older question
   * may lack that change.
   */
  #droppedOrder = 0;

  /** `onChange` is called for each circuit that is added, and for each that is dropped. */
  constructor(clocks: Clocks, onChange?: (key: string, isKnown: boolean) => void) {
    this.#clocks = clocks;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether any successes have yet to be counted. */
  get isPending(): boolean {
    for (const entry of this.#entries.values()) if (entry.isPending) return true;
    return false;
  }

  get(key: string): CachedCircuit | undefined {
    return this.#entries.get(key);
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }

  /** Numbers a question before it is sent: its answer must not replace the answer to a later one. */
  ask(): Asked {
    return { order: ++this.#order, at: this.#clocks.clock() };
  }

  /** Takes over what a read returned, unless this instance has changed the circuit meanwhile. */
  learnRead(key: string, circuit: Circuit | undefined, asked: Asked): CachedCircuit | undefined {
    const entry = this.#findOrAdd(key);
    if (entry === undefined || entry.isBeingCounted || asked.order < entry.writtenOrder) {
      return undefined;
    }
    entry.learn(circuit, asked);
    return entry;
  }

  /** Takes over what this instance's own change returned. */
  learnWritten(key: string, circuit: Circuit | undefined, asked: Asked): CachedCircuit | undefined {
    const entry = this.#findOrAdd(key);
    entry?.learnWritten(circuit, asked, ++this.#order);
    return entry;
  }

  /** The database has counted successes, and this is the circuit with them. */
  confirmDeferred(key: string, circuit: Circuit | undefined, asked: Asked): void {
    this.#entries.get(key)?.wasCounted();
    this.learnWritten(key, circuit, asked);
  }

  /** The database has not counted successes, or may not have: see {@linkcode CachedCircuit}. */
  returnDeferred(key: string, isRefused: boolean): void {
    this.#entries.get(key)?.returnWaiting(isRefused);
  }

  /** Makes a circuit unknown. */
  forget(key: string): void {
    this.#entries.get(key)?.forget(++this.#order);
  }

  /** Makes all circuits unknown. */
  forgetAll(): void {
    for (const entry of this.#entries.values()) entry.forget(++this.#order);
  }

  /** Takes the successes that wait, for a statement that counts them. */
  takeDeferred(): Deferred[] {
    const deferred: Deferred[] = [];
    for (const [key, entry] of this.#entries) {
      const waiting = entry.takeWaiting();
      if (waiting !== undefined) deferred.push({ key, ...waiting });
    }
    return deferred;
  }

  /** A refresh has passed. Drops each circuit that no call used for more than this many refreshes. */
  dropIdle(refreshes: number): void {
    for (const [key, entry] of this.#entries) {
      if (++entry.idle > refreshes && !entry.isPending) this.#drop(key, entry);
    }
  }

  #findOrAdd(key: string): CachedCircuit | undefined {
    const found = this.#entries.get(key);
    if (found !== undefined) return found;
    if (this.#entries.size >= CAPACITY && !this.#makeRoom()) return undefined;
    const entry = new CachedCircuit(key, this.#clocks, this.#droppedOrder);
    this.#entries.set(key, entry);
    this.#onChange?.(key, true);
    return entry;
  }

  /** Drops the first circuit that is not in use. Moves those in use or with successes to the end. */
  #makeRoom(): boolean {
    let candidates = CANDIDATES;
    let last: CachedCircuit | undefined;
    for (const [key, entry] of this.#entries) {
      if (candidates-- === 0) break;
      if (!entry.isPending) {
        if (entry.idle > 0) {
          this.#drop(key, entry);
          return true;
        }
        last ??= entry;
        entry.idle++;
      }
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    if (last !== undefined) this.#drop(last.key, last);
    return last !== undefined;
  }

  #drop(key: string, entry: CachedCircuit): void {
    this.#entries.delete(key);
    this.#droppedOrder = Math.max(this.#droppedOrder, entry.writtenOrder);
    this.#onChange?.(key, false);
  }
}
