import type { PlainSignal } from "../breaker/signal.ts";

/** Aborts when the client of a request is gone. An `AbortController` for each request costs far more. */
export class ClientSignal implements PlainSignal {
  aborted = false;
  /** What the call that is given up rejects with. */
  readonly reason: unknown = "the client closed the connection";
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** Aborts. Done once, it does nothing. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}
