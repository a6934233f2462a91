/** A gateway instance that calls its store all the time, and records each call with its fate. */

import {
  isCircuitBreakerStoreError,
  isStoreOverloadError,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { openDriver } from "../faults/drivers.ts";
import { randomOf } from "../support/random.ts";
import { type Caller, CALLS } from "./gateway_calls.ts";
import {
  clock,
  type GatewayMessage,
  type GatewaySettings,
  type KeyedCircuit,
  PROBING,
} from "./messages.ts";
import type { Fate, Operation } from "./recorded.ts";

const CONNECTIONS = 4;

/** So that no row of the log is pruned while it is compared. */
const HISTORY_ROWS = 10_000_000;

/** What the server answers to a statement that it has certainly not carried out. */
const NOT_DONE: readonly (string | undefined)[] = ["25006", "40001", "40P01", "53300", "55P03"];

/** One store, its connections and its callers. */
export class Gateway {
  readonly store: PostgresCircuitBreakerStore;
  readonly settings: GatewaySettings;
  readonly #say: (message: GatewayMessage) => void;
  readonly #driver: ReturnType<typeof openDriver>;
  #calls = 0;
  #isStopped = false;
  #callers: Promise<unknown> = Promise.resolve();
  #watching: Promise<void> = Promise.resolve();

  constructor(settings: GatewaySettings, say: (message: GatewayMessage) => void) {
    this.settings = settings;
    this.#say = say;
    const { name, driver, databaseUrl, timeoutMs, maxStalenessMs, countWithinMs } = settings;
    const url = new URL(databaseUrl);
    url.searchParams.set("application_name", name);
    // The store gives up a statement before the driver gives up its connection.
    this.#driver = openDriver(driver, url.href, CONNECTIONS, timeoutMs + 200);
    this.store = new PostgresCircuitBreakerStore(this.#driver.client, {
      timeoutMs,
      maxStalenessMs,
      historyRows: HISTORY_ROWS,
      ...maxStalenessMs > 0 && { countWithinMs },
      ...settings.isProbing && PROBING,
      instanceId: name,
      onOutageChange: ({ isOut, cause }) =>
        say({ type: "outage", name, isOut, ...cause && { cause: `${cause}` } }),
      onError: (error) => say({ type: "error", name, message: `${error}` }),
    });
  }

  /** Begins to call. */
  start(): void {
    const { name, callers, isWatching } = this.settings;
    if (isWatching) this.#watching = this.#watch();
    this.#callers = Promise.all(Array.from({ length: callers }, (_, each) => this.#repeat(each)));
    this.#say({ type: "ready", name });
  }

  /** Makes no more calls, and waits for those under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#callers;
    this.#say({ type: "stopped", name: this.settings.name });
  }

  /** Closes the store and the connections. */
  async close(): Promise<void> {
    let error: string | undefined;
    try {
      await this.store.close();
    } catch (reason) {
      error = `${reason}`;
    }
    await this.#watching;
    this.#say({ type: "closed", name: this.settings.name, ...error && { error } });
    await this.#driver[Symbol.asyncDispose]();
  }

  async #repeat(each: number): Promise<void> {
    const { seed, pauseMs, name, isProbing } = this.settings;
    const random = randomOf(seed * 31 + each);
    const caller: Caller = {
      name: `${name}.${each}`,
      store: this.store,
      isProbing,
      random,
      pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      record: (operation, key, call) => this.#record(operation, key, call),
    };
    const total = CALLS.reduce((sum, [weight]) => sum + weight, 0);
    while (!this.#isStopped) {
      let at = random() * total;
      const [, act] = CALLS.find(([weight]) => (at -= weight) < 0) ?? CALLS[0]!;
      await act(caller);
      await caller.pause(random() * pauseMs);
    }
  }

  /** Makes a call and says what came of it. `undefined` where it failed. */
  async #record(
    operation: Operation,
    key: string,
    call: () => Promise<KeyedCircuit[]>,
  ): Promise<KeyedCircuit[] | undefined> {
    const { name } = this.settings;
    const begin = clock();
    const counts = operation === "recordFailure" || operation === "recordSuccess";
    const id = counts ? ++this.#calls : undefined;
    if (id !== undefined) this.#say({ type: "began", id, name, operation, key, begin });
    const said = { type: "call", name, operation, key, begin, ...id && { id } } as const;
    try {
      const shown = await call();
      this.#say({ ...said, end: clock(), fate: "answered", shown });
      return shown;
    } catch (error) {
      this.#say({ ...said, end: clock(), fate: fateOf(error), error: labelOf(error) });
      return undefined;
    }
  }

  async #watch(): Promise<void> {
    const { name, after } = this.settings;
    let error: unknown;
    try {
      const changes = this.store.watch({
        ...after && { after },
        onBreak: ({ reason }) => this.#say({ type: "break", name, reason }),
      });
      for await (const change of changes) {
        const { key, version, from, to, cause, cursor } = change;
        this.#say({ type: "change", name, at: clock(), key, version, from, to, cause, cursor });
      }
    } catch (reason) {
      error = reason;
    }
    this.#say({ type: "watch ended", name, ...error !== undefined && { error: `${error}` } });
  }
}

/** Nothing was sent in a known outage, and a statement that was refused did nothing. */
function fateOf(error: unknown): Fate {
  const isNotDone = isStoreOverloadError(error) || isCircuitBreakerStoreError(error) &&
      (NOT_DONE.includes(error.sqlState) || error.message.startsWith("Cannot use the database"));
  return isNotDone ? "not done" : "unknown";
}

function labelOf(error: unknown): string {
  if (!isCircuitBreakerStoreError(error)) return `foreign ${error}`;
  return `${error.name} ${error.sqlState ?? ""}: ${error.message}`;
}
