/**
 * One instance in a process of its own that changes circuits all the time, each once a second.
 *
 * @module
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { openClient } from "./client.ts";
import { answerOrders } from "./worker_process.ts";

/** The orders for a changer: it begins, then reports. */
export type ChangeOrder =
  | { type: "begin"; url: string; table: string; keys: string[] }
  | { type: "report" };

/** How many changes are in the database so far, and how many failed. */
export interface ChangeAnswer {
  changes: number;
  failures: number;
}

const SECOND_MS = 1000;

class Changer implements AsyncDisposable {
  changes = 0;
  failures = 0;
  readonly #connection: ReturnType<typeof openClient>;
  readonly #store: PostgresCircuitBreakerStore;
  readonly #changing: Promise<void>;
  readonly #pending = new Set<Promise<void>>();
  #isEnded = false;

  constructor(url: string, table: string, keys: string[]) {
    this.#connection = openClient(url);
    this.#store = new PostgresCircuitBreakerStore(this.#connection.client, table);
    this.#changing = this.#keepChanging(keys);
  }

  /** One after the other at an even pace. A slow answer delays no other circuit. */
  async #keepChanging(keys: string[]): Promise<void> {
    const beganAt = performance.now();
    for (let done = 0; !this.#isEnded; done++) {
      const dueAt = beganAt + done * SECOND_MS / keys.length;
      const wait = dueAt - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const state = Math.floor(done / keys.length) % 2 === 0 ? "open" : "closed";
      const change = this.#change(keys[done % keys.length]!, state)
        .finally(() => this.#pending.delete(change));
      this.#pending.add(change);
    }
  }

  async #change(key: string, state: "open" | "closed"): Promise<void> {
    try {
      await this.#store.transition(key, state);
      this.changes++;
    } catch {
      this.failures++;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#changing;
    await Promise.all(this.#pending);
    await this.#store.close();
    await this.#connection[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  let changer: Changer | undefined;
  await answerOrders<ChangeOrder>((order) => {
    if (order.type === "begin") changer = new Changer(order.url, order.table, order.keys);
    const answer: ChangeAnswer = { changes: changer!.changes, failures: changer!.failures };
    return Promise.resolve(answer);
  });
  await changer?.[Symbol.asyncDispose]();
  Deno.exit();
}
