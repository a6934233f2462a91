import { ABSENT_CIRCUIT, type Circuit, counted } from "../rules/circuit.ts";
import { isCounted } from "../rules/probing.ts";
import { MAX_COUNT } from "../types.ts";

/** The clocks by which what is known ages. */
export interface Clocks {
  /** What ages are measured by, in milliseconds. */
  clock: () => number;
  /** A clock that replaces the database's. */
  now: (() => number) | undefined;
}

/** A moment at which somebody asked. */
export interface Asked {
  /** Its place in the order of everything that this instance asked and was told. */
  turn: number;
  at: number;
}

/** What one instance knows of one circuit, and the successes that it has yet to count. */
export class CachedCircuit {
  readonly key: string;
  readonly #clocks: Clocks;
  /** As the database had it; `undefined` for a circuit that it does not keep. */
  #circuit: Circuit | undefined;
  /** When it was asked for, which is before it was like this: never fresh where nothing is known. */
  #askedAt = -Infinity;
  #toldAt = 0;
  /** The turn in which this instance's own last change was answered. */
  #writtenTurn: number;
  /** Successes that wait, those that are on their way, and the version they belong to. */
  #waiting = 0;
  #flying = 0;
  #version = 0;
  /** Refreshes since anybody asked for it. */
  idle = 0;

  constructor(key: string, clocks: Clocks, writtenTurn: number) {
    this.key = key;
    this.#clocks = clocks;
    this.#writtenTurn = writtenTurn;
  }

  /** Whether it is younger than a bound, for somebody who uses it now. */
  isFresh(maxStalenessMs: number, now: number): boolean {
    this.idle = 0;
    const age = now - this.#askedAt;
    // A clock that was set back says nothing about age.
    return age >= 0 && age < maxStalenessMs;
  }

  get version(): number {
    return this.#circuit?.version ?? 0;
  }

  get writtenTurn(): number {
    return this.#writtenTurn;
  }

  /** Whether successes are on their way. */
  get isFlying(): boolean {
    return this.#flying > 0;
  }

  /** Whether successes have yet to be counted. */
  get isPending(): boolean {
    return this.#waiting + this.#flying > 0;
  }

  /** Counts a success here, `false` where it has to be counted there. */
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

  /** The successes that wait leave with a refresh: how many. */
  takeOff(): { successes: number; version: number } | undefined {
    if (this.#waiting === 0 || this.#flying > 0) return undefined;
    this.#flying = this.#waiting;
    this.#waiting = 0;
    return { successes: this.#flying, version: this.#version };
  }

  /** They did not arrive: they wait again, or nobody knows whether they did. */
  turnBack(isRefused: boolean): void {
    if (isRefused) this.#waiting += this.#flying;
    else this.forget(this.#writtenTurn);
    this.#flying = 0;
  }

  /** They have arrived. */
  touchDown(): void {
    this.#flying = 0;
  }

  /** Those that wait count for nothing any more. */
  dropWaiting(): void {
    this.#waiting = 0;
  }

  /** Takes over what was read. */
  learn(circuit: Circuit | undefined, { at }: Asked): void {
    this.#circuit = circuit;
    this.#askedAt = at;
    this.#toldAt = this.#clocks.clock();
    if (this.#waiting > 0 && circuit !== undefined && !isCounted(this.#version, circuit)) {
      this.#waiting = 0;
    }
  }

  /** Takes over what this instance's own change made of it. */
  learnWritten(circuit: Circuit | undefined, asked: Asked, turn: number): void {
    const known = this.#circuit;
    const isAlone = this.#writtenTurn <= asked.turn;
    this.#writtenTurn = turn;
    if (isAlone) {
      this.learn(circuit, asked);
    } else if (this.#askedAt === -Infinity) {
      // Changes have crossed already, and this one was asked for before.
    } else if (known === undefined || circuit === undefined) {
      this.forget(turn);
    } else if (circuit.version === known.version && circuit.readAt === known.readAt) {
      // Calls of one statement, each with its own count.
      this.learn({
        ...circuit,
        failureCount: Math.max(circuit.failureCount, known.failureCount),
        successCount: Math.max(circuit.successCount, known.successCount),
      }, asked);
    } else if (circuit.version >= known.version && circuit.readAt >= known.readAt) {
      this.learn(circuit, asked);
    } else {
      // Two changes crossed: which came last, only the database knows.
      this.forget(turn);
    }
  }

  /** Knows nothing any more, but for what has yet to be counted. */
  forget(turn: number): void {
    this.#circuit = undefined;
    this.#askedAt = -Infinity;
    this.#writtenTurn = turn;
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
    return this.including(circuit, now === undefined ? circuit.readAt + at - this.#toldAt : at);
  }

  /** A circuit with the successes that it does not count yet. */
  including(circuit: Circuit, readAt: number = circuit.readAt): Circuit {
    const pending = this.#pending;
    const successCount = pending > 0 && isCounted(this.#version, circuit)
      ? Math.min(circuit.successCount + pending, MAX_COUNT)
      : circuit.successCount;
    return counted(circuit, circuit.failureCount, successCount, readAt);
  }

  get #pending(): number {
    return this.#waiting + this.#flying;
  }
}
