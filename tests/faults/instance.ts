/**
 * An instance under load, which keeps account of the outcomes of its calls.
 *
 * @module
 */

import {
  isCircuitBreakerStoreError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "../../mod.ts";

/** An open driver; disposal closes it. */
export interface InstanceDriver extends AsyncDisposable {
  readonly client: PostgresClient;
}

/** How an instance is set up. */
export interface InstanceOptions {
  url: string;
  /** The key that it records on, which no other instance uses, and the name of its connections. */
  name: string;
  onOutage: "throw" | "local";
  open(url: string): InstanceDriver | Promise<InstanceDriver>;
}

/** What became of an instance's successes. */
export interface Account {
  /** The database counted them. */
  acknowledged: number;
  /** They were sent, and their outcome is unknown. */
  unknown: number;
}

const TIMEOUT_MS = 1000;
/** A call that waits for a second deadline takes 1000 ms more; a busy machine takes less. */
const TIMER_SLACK_MS = TIMEOUT_MS / 2;
const CALLERS = 4;
const PAUSE_MS = 2;

/** A store that records successes on a circuit of its own until it is ended. */
export class Instance implements AsyncDisposable {
  readonly name: string;
  readonly #driver: InstanceDriver;
  readonly #store: PostgresCircuitBreakerStore;
  readonly #account: Account = { acknowledged: 0, unknown: 0 };
  readonly #lost = deferred<Error>();
  readonly #recovered = deferred<void>();
  readonly #callers: Promise<void>[];
  #outages = 0;
  #isOut = false;
  #isEnding = false;
  #waiting: { count: number; resolve: () => void } | undefined;

  private constructor({ name, onOutage }: InstanceOptions, driver: InstanceDriver) {
    this.name = name;
    this.#driver = driver;
    this.#store = new PostgresCircuitBreakerStore(driver.client, "circuits", {
      timeoutMs: TIMEOUT_MS,
      onOutage,
      onOutageChange: ({ isOut, cause }) => {
        this.#isOut = isOut;
        if (!isOut) return this.#recovered.resolve();
        this.#outages++;
        this.#lost.resolve(cause!);
      },
    });
    this.#callers = Array.from({ length: CALLERS }, () => this.#run());
  }

  static async start(options: InstanceOptions): Promise<Instance> {
    const url = new URL(options.url);
    url.searchParams.set("application_name", options.name);
    return new Instance(options, await options.open(url.href));
  }

  /** Whether the store has found its database out. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** Resolves at the begin of the first outage, to what showed it. */
  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  /** Resolves at the end of the first outage. */
  get recovered(): Promise<void> {
    return this.#recovered.promise;
  }

  /** Resolves when the database counted `calls` more calls; rejects when one failed its terms. */
  async acknowledge(calls: number): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#waiting = { count: this.#account.acknowledged + calls, resolve };
    await Promise.race([promise, Promise.all(this.#callers)]);
  }

  /** Ends the load. */
  async end(): Promise<Account> {
    this.#isEnding = true;
    await Promise.all(this.#callers);
    return this.#account;
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      const start = performance.now();
      await this.#call();
      const took = performance.now() - start;
      if (took > TIMEOUT_MS + TIMER_SLACK_MS) {
        throw new Error(`${this.name} waited ${took} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** A call that meets an outage on its way is answered, or failed, without the database's word. */
  async #call(): Promise<void> {
    const wasOut = this.#isOut;
    const outages = this.#outages;
    try {
      await this.#store.recordSuccess(this.name);
      if (!wasOut && outages === this.#outages) this.#count();
      else if (!wasOut) this.#account.unknown++;
    } catch (error) {
      if (!isStoreUnavailableError(error) && !isStoreTimeoutError(error)) throw error;
      // During a known outage nothing is sent, and the cause is the error that began it.
      if (!isCircuitBreakerStoreError(error.cause)) this.#account.unknown++;
    }
  }

  #count(): void {
    this.#account.acknowledged++;
    if (this.#account.acknowledged >= (this.#waiting?.count ?? Infinity)) this.#waiting!.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await Promise.allSettled(this.#callers);
    this.#store.destroy();
    await this.#driver[Symbol.asyncDispose]();
  }
}

/** That nothing acknowledged is missing, and nothing is there that was not asked for. */
export function assertAccounted(name: string, account: Account, stored: number): void {
  const { acknowledged, unknown } = account;
  if (acknowledged > 0 && acknowledged <= stored && stored <= acknowledged + unknown) return;
  throw new Error(`${name}: ${acknowledged} acknowledged, ${stored} stored, ${unknown} unknown`);
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
}

/** What `Promise.withResolvers` does, which Node 20 lacks. */
function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => resolve = settle);
  return { promise, resolve };
}
