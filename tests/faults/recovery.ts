import type { Noise } from "./noise.ts";

/** A moment of the clock, and the noise until then. */
interface Moment {
  at: number;
  noise: number;
}

/**
 * Follows a store after its database is back. It has recovered when every kind of call has worked
 * since the last wrong answer. How long that took is the time until the last wrong answer: how soon
 * each kind is called again is the affair of the load and the machine.
 */
export class Recovery {
  readonly #kinds: ReadonlySet<string>;
  readonly #noise: Noise;
  readonly #back: Moment;
  readonly #worked = new Set<string>();
  #lastWrong: Moment;

  constructor(kinds: ReadonlySet<string>, noise: Noise) {
    this.#kinds = kinds;
    this.#noise = noise;
    this.#back = this.now();
    this.#lastWrong = this.#back;
  }

  now(): Moment {
    return { at: performance.now(), noise: this.#noise.total() };
  }

  /** Notes that the outage has ended only now. */
  noteEnd(): void {
    this.#lastWrong = this.now();
  }

  /** Notes a call that ended, and when it was made. Returns how long the recovery took, once it is over. */
  note(call: string, begun: Moment, isWrong: boolean): { afterMs: number; noiseMs: number } | void {
    if (isWrong) {
      this.#worked.clear();
      if (begun.at > this.#lastWrong.at) this.#lastWrong = begun;
    } else if (begun.at >= this.#back.at) this.#worked.add(call);
    if (this.#worked.size < this.#kinds.size) return;
    return {
      afterMs: this.#lastWrong.at - this.#back.at,
      noiseMs: this.#lastWrong.noise - this.#back.noise,
    };
  }
}
