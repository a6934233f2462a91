import type { Feed } from "../ports.ts";
import type { Timers } from "../time/timers.ts";

/** How long it goes on listening, in milliseconds, when no circuit is in use any more. */
const LINGER_MS = 30_000;

/**
 * Listens for announcements while circuits are in use.
 *
 * States: apart; listening; lingering; ended.
 * - `use(true)`: apart or lingering -> listening.
 * - `use(false)`: listening -> lingering, so that single requests now and then do not open a
 *   connection each.
 * - The time is over: lingering -> apart.
 * - `end`: to ended.
 */
export class Subscription {
  readonly #feed: Feed;
  readonly #timers: Timers;
  readonly #listener: () => void;
  #unsubscribe: (() => void) | undefined;
  #linger: unknown;
  #isEnded = false;

  constructor(feed: Feed, timers: Timers, listener: () => void) {
    this.#feed = feed;
    this.#timers = timers;
    this.#listener = listener;
  }

  /** Circuits are in use from now on, or no circuit is any more. */
  use(isInUse: boolean): void {
    if (this.#isEnded || !this.#feed.canListen) return;
    this.#timers.stop(this.#linger);
    if (isInUse) this.#unsubscribe ??= this.#feed.subscribe(this.#listener);
    else this.#linger = this.#timers.start(() => this.#leave(), LINGER_MS);
  }

  end(): void {
    this.#isEnded = true;
    this.#leave();
  }

  #leave(): void {
    this.#timers.stop(this.#linger);
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}
