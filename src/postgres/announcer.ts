/**
 * Announces changes after they are committed. One announcement is under way at a time: a change that is
 * committed meanwhile is announced by the next one.
 *
 * States: at rest; announcing; announcing, and another one is due.
 * - `announce`: at rest -> announcing -> another one is due.
 * - The statement ends: another one is due -> announcing; otherwise to at rest. An error is no reason to
 *   try again, because instances look by themselves within their bound.
 */
export class Announcer {
  readonly #send: () => Promise<unknown>;
  #announcing: Promise<void> | undefined;
  #isDue = false;

  /** `send` announces. It reports its errors itself. */
  constructor(send: () => Promise<unknown>) {
    this.#send = send;
  }

  announce(): void {
    this.#isDue = true;
    this.#announcing ??= this.#run();
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#announcing;
  }

  async #run(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false;
      try {
        await this.#send();
      } catch {
        // Best effort.
      }
    }
    this.#announcing = undefined;
  }
}
