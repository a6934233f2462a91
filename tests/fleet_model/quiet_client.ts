import type { PostgresClient } from "../../mod.ts";

/** A client that knows when no statement of its stores is in flight. */
export class QuietClient implements PostgresClient {
  readonly #client: PostgresClient;
  #inFlight = 0;
  #onQuiet = () => {};

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  async query(text: string, params?: unknown[]): ReturnType<PostgresClient["query"]> {
    this.#inFlight++;
    try {
      return await this.#client.query(text, params);
    } finally {
      if (--this.#inFlight === 0) this.#onQuiet();
    }
  }

  /** Resolves when nothing is in flight, and nothing that has come back sends more. */
  async quiet(): Promise<void> {
    const nextTask = () => new Promise((resolve) => setTimeout(resolve));
    await nextTask();
    while (this.#inFlight > 0) {
      await new Promise<void>((resolve) => this.#onQuiet = resolve);
      await nextTask();
    }
  }
}
