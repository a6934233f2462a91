import {
  type CircuitBreakerSnapshot,
  isStoreTimeoutError,
  isStoreUnavailableError,
  type OutageChange,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import type { Account } from "./instance.ts";
import type { Noise } from "./noise.ts";
import { Recovery } from "./recovery.ts";

const PAUSE_MS = 10;
const HAPPENS_WITHIN_MS = 30_000;
const KINDS: ReadonlySet<string> = new Set(["getState", "peek", "list", "recordFailure"]);

/** What an observer needs to distinguish answers. */
export interface Observation {
  /** The circuit that is read. */
  key: string;
  /** Whether an answer can only be that of a server that takes no writes. */
  isForbidden(circuit: CircuitBreakerSnapshot): boolean;
  /** Whether an answer is what the writable server holds. */
  isCurrent(circuit: CircuitBreakerSnapshot): boolean;
  noise: Noise;
}

/** A store that reads one circuit and records on its own one, all the time, until its disposal. */
export class ObservedStore implements AsyncDisposable {
  readonly name: string;
  readonly store: PostgresCircuitBreakerStore;
  readonly events: OutageChange[] = [];
  /** Forbidden answers, and errors that are no outage's. */
  readonly wrong: unknown[] = [];
  /** Calls that the database answered. */
  answered = 0;
  readonly account: Account = { acknowledged: 0, unknown: 0 };
  readonly #observation: Observation;
  #callers: Promise<unknown> | undefined;
  #isOver = false;
  #recovery: { watch: Recovery; done: PromiseWithResolvers<number> } | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(
    name: string,
    client: PostgresClient,
    options: PostgresCircuitBreakerStoreOptions,
    observation: Observation,
  ) {
    this.name = name;
    this.#observation = observation;
    this.store = new PostgresCircuitBreakerStore(client, undefined, {
      ...options,
      onOutageChange: (change) => {
        this.events.push(change);
        if (!change.isOut) this.#recovery?.watch.noteEnd();
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
    });
  }

  get isOut(): boolean {
    return this.events.at(-1)?.isOut ?? false;
  }

  /** Begins to call. */
  start(): void {
    this.#callers = Promise.all([
      this.#repeat("getState", async (store, key) => [await store.getState(key)]),
      this.#repeat("peek", (store, key) => store.peek([key])),
      this.#repeat(
        "list",
        async (store, key) => (await store.list()).filter((circuit) => circuit.key === key),
      ),
      this.#repeat("recordFailure", async (store) => {
        await this.#record(() => store.recordFailure(this.name));
        return [];
      }),
    ]);
  }

  /** Resolves when the store has known that its database is out. */
  async lost(): Promise<void> {
    const timer = setTimeout(
      () => this.#changed.reject(new Error(`${this.name} notices nothing`)),
      HAPPENS_WITHIN_MS,
    );
    try {
      while (this.events.length === 0) await this.#changed.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * How long from now on answers stay wrong, in milliseconds and without noise: resolves when every
   * kind of call is answered by the writable server.
   */
  async recover(): Promise<number> {
    const done = Promise.withResolvers<number>();
    const timer = setTimeout(() => {
      done.reject(new Error(`${this.name} does not recover: ${JSON.stringify(this.events)}`));
    }, HAPPENS_WITHIN_MS);
    this.#recovery = { watch: new Recovery(KINDS, this.#observation.noise), done };
    try {
      return await done.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #repeat(
    call: string,
    ask: (store: PostgresCircuitBreakerStore, key: string) => Promise<CircuitBreakerSnapshot[]>,
  ): Promise<void> {
    while (!this.#isOver) {
      await this.#observe(call, () => ask(this.store, this.#observation.key));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #observe(call: string, ask: () => Promise<CircuitBreakerSnapshot[]>): Promise<void> {
    const { isForbidden, isCurrent, noise } = this.#observation;
    const begun = { at: performance.now(), noise: noise.total() };
    let isWrong = false;
    try {
      for (const circuit of await ask()) {
        if (isForbidden(circuit)) this.wrong.push([call, circuit]);
        if (!isCurrent(circuit)) isWrong = true;
      }
    } catch (error) {
      isWrong = true;
      if (!isStoreUnavailableError(error) && !isStoreTimeoutError(error)) this.wrong.push(error);
    }
    if (!isWrong && !this.isOut) this.answered++;
    const recovered = this.#recovery?.watch.note(call, begun, isWrong || this.isOut);
    if (recovered === undefined) return;
    this.#recovery!.done.resolve(recovered.afterMs - recovered.noiseMs);
    this.#recovery = undefined;
  }

  /** What an instance says during an outage is not the database's word. */
  async #record(record: () => Promise<unknown>): Promise<void> {
    const { length: before } = this.events;
    if (this.isOut) return void await record();
    try {
      await record();
    } catch (error) {
      this.account.unknown++;
      throw error;
    }
    if (this.events.length === before) this.account.acknowledged++;
    else this.account.unknown++;
  }

  /** Ends the calls, but not the store. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#callers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    this.store.destroy();
  }
}
