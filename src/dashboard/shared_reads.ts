/** For how long an answer serves others too, in milliseconds. */
const KEPT_MS = 300;

/** Answers to this number of different questions are kept. */
const MAX_KEPT = 100;

/** Reads that several browsers share: each change makes all of them look at once. */
export class SharedReads {
  readonly #kept = new Map<string, { until: number; answer: Promise<unknown> }>();

  /** The answer to a question: one that is under way or was given a moment ago, or a new one. */
  read<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(question);
    if (kept !== undefined && performance.now() < kept.until) return kept.answer as Promise<T>;
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    const answer = ask();
    const entry = { until: Infinity, answer };
    this.#kept.set(question, entry);
    answer.then(
      () => entry.until = performance.now() + KEPT_MS,
      () => entry.until = 0, // a failure serves only those who waited for it
    );
    return answer;
  }

  /** What is asked from now on is read anew, because something has changed. */
  forget(): void {
    this.#kept.clear();
  }
}
