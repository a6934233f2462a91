/**
 * What the adapters have in common where they listen.
 *
 * @module
 */

import type { Unlisten } from "../types.ts";

/** A subscription that is being set up: it tells nobody anything once it has ended. */
export class Subscription {
  readonly #onNotification: (payload: string) => void;
  readonly #lost: Promise<void>;
  #lose!: () => void;
  #isOpen = true;

  constructor(onNotification: (payload: string) => void) {
    this.#onNotification = onNotification;
    this.#lost = new Promise((resolve) => this.#lose = resolve);
  }

  /** Passes a payload on. */
  readonly tell = (payload: string | undefined): void => {
    if (this.#isOpen) this.#onNotification(payload ?? "");
  };

  /** The connection has ended without having been asked to: the subscription is dead. */
  readonly lose = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#lose();
  };

  /** What ends it, by a function that lets its connection go. */
  unlisten(release: () => unknown): Unlisten {
    const end = async () => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      await release();
    };
    return Object.assign(end, { lost: this.#lost });
  }
}
