/**
 * What the adapters that can listen have in common.
 *
 * @module
 */

import type { PostgresClient, Unlisten } from "../types.ts";

/** How an adapter listens. */
export type Listen = NonNullable<PostgresClient["listen"]>;

/** How long a server may take until it listens: drivers wait half a minute, or for ever. */
export const LISTEN_WITHIN_MS = 5000;

/** How long a connection may take to end in good order. */
export const END_WITHIN_MS = 1000;

/** A channel's name in a statement. */
export function quoteChannel(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`;
}

/** A driver's options, of which it reads `onclose` anew for each connection that ends. */
export interface Closing<Argument> {
  onclose?: ((argument: Argument) => void) | undefined;
}

const additions = new WeakMap<object, Set<() => void>>();

/** What is done when a connection has ended, before what the user wants to be done: add to it. */
export function onClose<Argument>(options: Closing<Argument>): Set<() => void> {
  const known = additions.get(options);
  if (known !== undefined) return known;
  const added = new Set<() => void>();
  additions.set(options, added);
  const { onclose } = options;
  options.onclose = (argument) => {
    for (const run of added) run();
    onclose?.(argument);
  };
  return added;
}

/** A subscription from the attempt to listen to its end, which comes once. */
export class Subscription {
  readonly #onNotification: (payload: string) => void;
  readonly #lost: Promise<void>;
  #resolveLost: () => void = () => {};
  #isOver = false;

  constructor(onNotification: (payload: string) => void) {
    this.#onNotification = onNotification;
    this.#lost = new Promise((resolve) => this.#resolveLost = resolve);
  }

  /** Whether it has ended or was lost. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Passes a notification on. */
  deliver(payload: string): void {
    if (!this.#isOver) this.#onNotification(payload);
  }

  /** Ends it, unless it is over. */
  end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    return true;
  }

  /** Ends it because its connection has ended, unless it is over. */
  lose(): boolean {
    if (!this.end()) return false;
    this.#resolveLost();
    return true;
  }

  /** Throws where it was lost before the server answered. */
  assertListening(): void {
    if (this.#isOver) throw new Error("Cannot listen: the connection ended");
  }

  /** What the caller is given. `release` lets the connection go and does not reject. */
  unlisten(release: () => Promise<void>): Unlisten {
    return Object.assign(async () => {
      if (this.end()) await release();
    }, { lost: this.#lost });
  }
}
