/**
 * One instance in a process of its own, which looks at a circuit all the time and notes when it
 * sees it change.
 *
 * @module
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import type { CircuitState } from "../../src/types.ts";
import { openClient } from "./client.ts";
import { answerOrders } from "./worker_process.ts";

/** The orders for a watcher: it begins, then reports one change after the other. */
export type WatchOrder = BeginWatching | { type: "await"; state: CircuitState; withinMs: number };

/** Where and how to watch. */
export interface BeginWatching {
  type: "begin";
  url: string;
  table: string;
  key: string;
  /** Circuits that it keeps in use beside the one that it watches. */
  others: string[];
  maxStalenessMs: number;
  /** Whether it may listen, where its client can. */
  listens: boolean;
}

/** How a watcher saw a change, in milliseconds of {@linkcode epochNow}. */
export interface Sight {
  state: CircuitState;
  /** When the first answer with this state came. */
  firstAt: number;
  /** When the last question was asked whose answer was another state. */
  lastOtherAt: number;
}

/** What a watcher answers: its latest sight, and how many questions have failed so far. */
export interface WatchAnswer {
  sight: Sight;
  failures: number;
}

const POLL_MS = 1;
const OTHERS_EVERY_MS = 1000;

/** The time that all processes of a machine share, finer than `Date.now()`. */
export function epochNow(): number {
  return performance.timeOrigin + performance.now();
}

class Watcher implements AsyncDisposable {
  readonly #connection: ReturnType<typeof openClient>;
  readonly #store: PostgresCircuitBreakerStore;
  readonly #polling: Promise<unknown>;
  #sight: Sight = { state: "closed", firstAt: 0, lastOtherAt: 0 };
  #failures = 0;
  #onSight: () => void = () => {};
  #isEnded = false;

  constructor({ url, table, key, others, maxStalenessMs, listens }: BeginWatching) {
    this.#connection = openClient(url);
    const { client } = this.#connection;
    this.#store = new PostgresCircuitBreakerStore(
      listens ? client : { query: client.query },
      table,
      { maxStalenessMs },
    );
    this.#polling = Promise.all([this.#poll(key), this.#keepInUse(others)]);
  }

  async seen(state: CircuitState, withinMs: number): Promise<WatchAnswer> {
    const deadline = performance.now() + withinMs;
    while (this.#sight.state !== state) {
      if (performance.now() > deadline) {
        throw new Error(`Cannot measure propagation: ${state} was not seen in ${withinMs} ms`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        this.#onSight = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return { sight: this.#sight, failures: this.#failures };
  }

  async #poll(key: string): Promise<void> {
    let lastAsked = epochNow();
    while (!this.#isEnded) {
      const asked = epochNow();
      try {
        const { state } = await this.#store.getState(key);
        if (state !== this.#sight.state) {
          this.#sight = { state, firstAt: epochNow(), lastOtherAt: lastAsked };
          this.#onSight();
        }
        lastAsked = asked;
      } catch {
        this.#failures++; // no answer is not an old answer
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** One after the other at an even pace. */
  async #keepInUse(keys: string[]): Promise<void> {
    for (let index = 0; keys.length > 0 && !this.#isEnded; index++) {
      void this.#store.getState(keys[index % keys.length]!).catch(() => this.#failures++);
      await new Promise((resolve) => setTimeout(resolve, OTHERS_EVERY_MS / keys.length));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#polling;
    await this.#store.close();
    await this.#connection[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  let watcher: Watcher | undefined;
  await answerOrders<WatchOrder>(async (order) => {
    if (order.type === "await") return await watcher!.seen(order.state, order.withinMs);
    watcher = new Watcher(order);
  });
  await watcher?.[Symbol.asyncDispose]();
  Deno.exit();
}
