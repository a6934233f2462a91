/**
 * Many instances in one process that share a pool of connections and keep the same circuits in use.
 *
 * Each instance is a store of its own. It uses each circuit once per round, and its uses are spread
 * evenly over the round.
 *
 * @module
 */

import process from "node:process";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { openClient } from "./client.ts";
import { Histogram, type SparseCounts } from "./histogram.ts";
import { circuitKey } from "./load.ts";
import { familyOf } from "./statement_family.ts";
import { answerOrders } from "./worker_process.ts";

/** The orders for a worker: it begins, then reports its figures since the last report. */
export type FleetOrder = BeginFleet | { type: "report" };

/** The instances of one process. */
export interface BeginFleet {
  type: "begin";
  url: string;
  table: string;
  instances: number;
  circuits: number;
  /** How many connections the instances of the process share. */
  connections: number;
  options: { maxStalenessMs: number; countWithinMs?: number };
  /** Within how many milliseconds each instance uses each circuit once. */
  roundMs: number;
  /** Whether each read is followed by a success. */
  records: boolean;
}

/** The statements of one family. */
export interface FamilyFigures {
  statements: number;
  failures: number;
  /** From the call of the client to its answer. */
  latencies: SparseCounts;
}

/** The figures of a process since its last report. */
export interface FleetAnswer {
  families: Record<string, FamilyFigures>;
  /** How often a circuit was used, and how often that failed. */
  uses: number;
  failures: number;
  failure: string;
  outages: number;
  errors: number;
  error: string;
  /** How late the timer of the process fired. */
  lateness: SparseCounts;
  /** CPU time, in seconds. */
  cpu: number;
  /** Bytes of memory. */
  memory: number;
}

/** In how many goes an instance uses its circuits in a round: several in each interval. */
const PORTIONS = 20;
/** When this number of portions of an instance waits for the database, it makes no more calls. */
const MOST_PENDING = 4;
const TICK_MS = 10;
/** Between two attempts of an instance to read its circuits. */
const PAUSE_MS = 100;

class Figures {
  readonly families = new Map<string, { statements: number; failures: number; times: Histogram }>();
  readonly lateness = new Histogram();
  uses = 0;
  failures = 0;
  failure = "";
  outages = 0;
  errors = 0;
  error = "";
  readonly #cpu = process.cpuUsage();

  family(name: string): { statements: number; failures: number; times: Histogram } {
    let family = this.families.get(name);
    if (family === undefined) {
      family = { statements: 0, failures: 0, times: new Histogram() };
      this.families.set(name, family);
    }
    return family;
  }

  answer(): FleetAnswer {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      families: Object.fromEntries(
        [...this.families].map(([name, { statements, failures, times }]) => [
          name,
          { statements, failures, latencies: times.sparse() },
        ]),
      ),
      uses: this.uses,
      failures: this.failures,
      failure: this.failure,
      outages: this.outages,
      errors: this.errors,
      error: this.error,
      lateness: this.lateness.sparse(),
      cpu: (user + system) / 1e6,
      memory: process.memoryUsage().rss,
    };
  }
}

interface UsedStore {
  readonly store: PostgresCircuitBreakerStore;
  pending: number;
}

class FleetPart implements AsyncDisposable {
  #figures = new Figures();
  readonly #order: BeginFleet;
  readonly #keys: string[];
  readonly #connection: ReturnType<typeof openClient>;
  readonly #stores: UsedStore[] = [];
  /** How many instances have read their circuits. */
  #begun = 0;
  #using: Promise<void> | undefined;
  #isEnded = false;

  constructor(order: BeginFleet) {
    this.#order = order;
    this.#keys = Array.from({ length: order.circuits }, (_, index) => circuitKey(index));
    this.#connection = openClient(order.url, order.connections);
  }

  /** Opens all stores. One after the other reads its circuits, and keeps them in use from then on. */
  async begin(): Promise<void> {
    const { client } = this.#connection;
    const timed = {
      ...client,
      query: async (text: string, params?: unknown[]) => {
        const family = this.#figures.family(familyOf(text));
        const from = performance.now();
        family.statements++;
        try {
          return await client.query(text, params);
        } catch (error) {
          family.failures++;
          throw error;
        } finally {
          family.times.record(performance.now() - from);
        }
      },
    };
    await timed.query("select 1");
    for (let index = 0; index < this.#order.instances; index++) {
      const store = new PostgresCircuitBreakerStore(timed, this.#order.table, {
        ...this.#order.options,
        onOutageChange: ({ isOut }) => {
          if (isOut) this.#figures.outages++;
        },
        onError: (error) => {
          this.#figures.errors++;
          this.#figures.error = String(error);
        },
      });
      this.#stores.push({ store, pending: 0 });
    }
    this.#using = this.#keepInUse();
    for (const { store } of this.#stores) {
      // A busy machine may take longer for it than the store waits. In the outage that follows all reads
      // fail at once: without a pause between them no timer would run that ends it.
      while (!await this.#readAll(store)) {
        this.#figures.failures++;
        await pass(PAUSE_MS);
      }
      this.#begun++;
    }
  }

  async #readAll(store: PostgresCircuitBreakerStore): Promise<boolean> {
    const reads = await Promise.allSettled(this.#keys.map((key) => store.getState(key)));
    return reads.every(({ status }) => status === "fulfilled");
  }

  report(): FleetAnswer {
    const answer = this.#figures.answer();
    this.#figures = new Figures();
    return answer;
  }

  /** Portion after portion, of one instance after the other, at an even pace. */
  async #keepInUse(): Promise<void> {
    const { instances, roundMs } = this.#order;
    const total = PORTIONS * instances;
    const portion = Math.ceil(this.#keys.length / PORTIONS);
    const beganAt = performance.now();
    let done = 0;
    let expected = beganAt;
    while (!this.#isEnded) {
      const now = performance.now();
      this.#figures.lateness.record(Math.max(0, now - expected));
      const due = (now - beganAt) / roundMs * total;
      for (; done < due; done++) {
        const instance = done % instances;
        if (instance >= this.#begun) continue;
        const first = (Math.floor(done / instances) % PORTIONS) * portion;
        const used = this.#stores[instance]!;
        // A fleet that its server cannot keep up with would fill the memory with calls.
        if (used.pending < MOST_PENDING * portion) this.#useSome(used, first, portion);
      }
      expected = performance.now() + TICK_MS;
      await pass(TICK_MS);
    }
  }

  #useSome(used: UsedStore, first: number, portion: number): void {
    const last = Math.min(this.#keys.length, first + portion);
    for (let index = first; index < last; index++) void this.#use(used, this.#keys[index]!);
  }

  async #use(
    used: UsedStore,
    key: string,
  ): Promise<void> {
    const { store } = used;
    used.pending++;
    try {
      await store.getState(key);
      if (this.#order.records) await store.recordSuccess(key);
      this.#figures.uses++;
    } catch (error) {
      this.#figures.failures++;
      this.#figures.failure = String(error);
    } finally {
      used.pending--;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#using;
    await Promise.all(this.#stores.map(({ store }) => store.close().catch(() => {}))); // counts no more
    await this.#connection[Symbol.asyncDispose]();
  }
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  let part: FleetPart | undefined;
  await answerOrders<FleetOrder>(async (order) => {
    if (order.type === "report") return part!.report();
    part = new FleetPart(order);
    await part.begin();
  });
  await part?.[Symbol.asyncDispose]();
  Deno.exit();
}
