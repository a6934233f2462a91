/** Knows which pieces of background work have begun and not ended, so that `close` can wait for them. */
export class Underway {
  readonly #work = new Set<Promise<unknown>>();

  /** Begins a piece of work. Returns its result. */
  run<Result>(begin: () => Promise<Result>): Promise<Result> {
    const work = begin();
    const ended = () => void this.#work.delete(work);
    this.#work.add(work);
    work.then(ended, ended);
    return work;
  }

  /** Resolves when all that has begun has ended, well or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work);
  }
}
