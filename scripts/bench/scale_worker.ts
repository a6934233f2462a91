/**
 * Several instances in one process, each with a connection of its own, that keep many circuits in
 * use.
 *
 * @module
 */

import process from "node:process";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { type CountingClient, openClient } from "./client.ts";
import { circuitKey } from "./load.ts";
import { answerOrders } from "./worker_process.ts";

/** The orders for a worker: it begins, then reports its figures. */
export type ScaleOrder = BeginScale | { type: "report" };

/** The instances of one process. */
export interface BeginScale {
  type: "begin";
  url: string;
  table: string;
  instances: number;
  circuits: number;
  maxStalenessMs: number;
  /** Whether each read is followed by a success, as with a request that goes well. */
  records: boolean;
}

/** The figures of a process since it began. */
export interface ScaleAnswer {
  statements: number;
  /** How often an instance used all its circuits, and how often it could not. */
  touches: number;
  failures: number;
  /** What the last of them said. */
  failure: string;
  /** CPU time, in seconds. */
  cpu: number;
}

/** Each circuit is used once in this share of the interval. */
const TOUCH_AFTER = 0.9;

class Instance implements AsyncDisposable {
  touches = 0;
  failures = 0;
  failure = "";
  readonly #connection: CountingClient;
  readonly #store: PostgresCircuitBreakerStore;
  readonly #keys: string[];
  readonly #records: boolean;
  readonly #everyMs: number;
  #touching: Promise<void> | undefined;
  #isEnded = false;

  constructor({ url, table, circuits, maxStalenessMs, records }: BeginScale) {
    this.#connection = openClient(url, 1);
    this.#store = new PostgresCircuitBreakerStore(this.#connection.client, table, {
      maxStalenessMs,
    });
    this.#keys = Array.from({ length: circuits }, (_, index) => circuitKey(index));
    this.#records = records;
    this.#everyMs = maxStalenessMs * TOUCH_AFTER;
  }

  /** Connects, and keeps its circuits in use from then on. */
  async begin(): Promise<void> {
    await this.#connection.client.query("select 1");
    this.#touching = this.#keepInUse(this.#everyMs);
  }

  get statements(): number {
    return this.#connection.statements();
  }

  async #keepInUse(everyMs: number): Promise<void> {
    // Real gateways do not start at the same moment.
    await new Promise((resolve) => setTimeout(resolve, everyMs * Math.random()));
    while (!this.#isEnded) {
      const next = performance.now() + everyMs;
      await this.#touch();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    }
  }

  /** A thousand errors at once would be a load of their own: one circuit goes first. */
  async #touch(): Promise<void> {
    try {
      await this.#use(this.#keys[0]!);
      await Promise.all(this.#keys.map((key) => this.#use(key)));
      this.touches++;
    } catch (error) {
      this.failures++;
      this.failure = String(error);
    }
  }

  async #use(key: string): Promise<void> {
    await this.#store.getState(key);
    if (this.#records) await this.#store.recordSuccess(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#touching;
    await this.#store.close().catch(() => {}); // counts for nothing any more
    await this.#connection[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  const instances: Instance[] = [];
  await answerOrders<ScaleOrder>(async (order) => {
    if (order.type === "begin") {
      for (let index = 0; index < order.instances; index++) {
        const instance = new Instance(order);
        instances.push(instance);
        await instance.begin();
      }
      return;
    }
    const sum = (figure: (instance: Instance) => number) =>
      instances.reduce((total, instance) => total + figure(instance), 0);
    const { user, system } = process.cpuUsage();
    const answer: ScaleAnswer = {
      statements: sum(({ statements }) => statements),
      touches: sum(({ touches }) => touches),
      failures: sum(({ failures }) => failures),
      failure: instances.find(({ failure }) => failure !== "")?.failure ?? "",
      cpu: (user + system) / 1e6,
    };
    return answer;
  });
  await Promise.all(instances.map((instance) => instance[Symbol.asyncDispose]()));
  Deno.exit();
}
