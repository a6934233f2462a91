import type { Circuit, Deferred } from "../rules/circuit.ts";
import { type Asked, CachedCircuit, type Clocks } from "./cached_circuit.ts";

/** How many circuits an instance knows at most: those used last. */
const CAPACITY = 10_000;

/** How many circuits are looked at for one that may go. */
const CANDIDATES = 64;

/** The circuits that one instance knows, and the order of what it asked and was told. */
export class CacheEntries {
  readonly #clocks: Clocks;
  readonly #known = new Map<string, CachedCircuit>();
  readonly #onChange: ((key: string, isKnown: boolean) => void) | undefined;
  #turn = 0;
  /** The last turn of those that had to go: what was asked before it may not know of their changes. */
  #goneTurn = 0;

  /** `onChange` is told of each circuit that begins to be known, and that ends to be. */
  constructor(clocks: Clocks, onChange?: (key: string, isKnown: boolean) => void) {
    this.#clocks = clocks;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Whether any successes have yet to be counted. */
  get isPending(): boolean {
    for (const known of this.#known.values()) if (known.isPending) return true;
    return false;
  }

  get(key: string): CachedCircuit | undefined {
    return this.#known.get(key);
  }

  keys(): string[] {
    return [...this.#known.keys()];
  }

  /** Before asking: what is told of this moment must not replace what is told later. */
  ask(): Asked {
    return { turn: ++this.#turn, at: this.#clocks.clock() };
  }

  /** Takes over what was read, unless this instance has changed it meanwhile. */
  learnRead(key: string, circuit: Circuit | undefined, asked: Asked): CachedCircuit | undefined {
    const known = this.#keep(key);
    if (known === undefined || known.isFlying || asked.turn < known.writtenTurn) return undefined;
    known.learn(circuit, asked);
    return known;
  }

  /** Takes over what this instance's own change made of it. */
  learnWritten(key: string, circuit: Circuit | undefined, asked: Asked): CachedCircuit | undefined {
    const known = this.#keep(key);
    known?.learnWritten(circuit, asked, ++this.#turn);
    return known;
  }

  /** Successes have arrived, and this is the circuit with them. */
  land(key: string, circuit: Circuit | undefined, asked: Asked): void {
    this.#known.get(key)?.touchDown();
    this.learnWritten(key, circuit, asked);
  }

  /** Successes have not arrived. */
  bringBack(key: string, isRefused: boolean): void {
    this.#known.get(key)?.turnBack(isRefused);
  }

  /** What is known of it is not so any more. */
  forget(key: string): void {
    this.#known.get(key)?.forget(++this.#turn);
  }

  /** Any of it may not be so any more. */
  forgetAll(): void {
    for (const known of this.#known.values()) known.forget(++this.#turn);
  }

  /** The successes that wait to be counted: they are on their way from now on. */
  takeDeferred(): Deferred[] {
    const deferred: Deferred[] = [];
    for (const [key, known] of this.#known) {
      const flight = known.takeOff();
      if (flight !== undefined) deferred.push({ key, ...flight });
    }
    return deferred;
  }

  /** One more refresh has passed: drops what nobody asked for through so many. */
  dropIdle(refreshes: number): void {
    for (const [key, known] of this.#known) {
      if (++known.idle > refreshes && !known.isPending) this.#drop(key, known);
    }
  }

  #keep(key: string): CachedCircuit | undefined {
    const found = this.#known.get(key);
    if (found !== undefined) return found;
    if (this.#known.size >= CAPACITY && !this.#makeRoom()) return undefined;
    const known = new CachedCircuit(key, this.#clocks, this.#goneTurn);
    this.#known.set(key, known);
    this.#onChange?.(key, true);
    return known;
  }

  /** Drops the first that nobody used lately; those in use or with something to count go behind. */
  #makeRoom(): boolean {
    let candidates = CANDIDATES;
    let last: CachedCircuit | undefined;
    for (const [key, known] of this.#known) {
      if (candidates-- === 0) break;
      if (!known.isPending) {
        if (known.idle > 0) {
          this.#drop(key, known);
          return true;
        }
        last ??= known;
        known.idle++;
      }
      this.#known.delete(key);
      this.#known.set(key, known);
    }
    if (last !== undefined) this.#drop(last.key, last);
    return last !== undefined;
  }

  #drop(key: string, known: CachedCircuit): void {
    this.#known.delete(key);
    this.#goneTurn = Math.max(this.#goneTurn, known.writtenTurn);
    this.#onChange?.(key, false);
  }
}
