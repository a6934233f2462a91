/** An instance shows itself once it has been in use for so long, in milliseconds. */
const FIRST_MS = 10_000;

/** How often it renews its row, in milliseconds. */
const RENEW_MS = 30_000;

/**
 * Shows that an instance without a cache lives: it writes the row of the instance in the background. It
 * runs no timer: each statement that the database has answered gives it the occasion. An instance that
 * is in use for less than ten seconds, such as a script, writes none.
 */
export class Presence {
  readonly #register: () => Promise<unknown>;
  readonly #clock: () => number;
  #dueAt: number | undefined;
  #isEnded = false;

  /** `register` writes the row, and reports its errors. */
  constructor(register: () => Promise<unknown>, clock: () => number = () => performance.now()) {
    this.#register = register;
    this.#clock = clock;
  }

  /** The database has answered a statement. */
  onAnswered(): void {
    const now = this.#clock();
    this.#dueAt ??= now + FIRST_MS;
    if (now < this.#dueAt || this.#isEnded) return;
    this.#dueAt = now + RENEW_MS;
    this.#register().catch(() => {});
  }

  /** Stops for good. */
  end(): void {
    this.#isEnded = true;
  }
}
