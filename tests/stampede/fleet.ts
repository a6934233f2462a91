import { type CircuitListing, migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../support/database.ts";
import { GatewayProcess } from "./gateway_process.ts";
import type { Answer, Breaker, GatewaySettings } from "./messages.ts";
import { type Held, Upstream } from "./upstream.ts";

const CIRCUIT = "orders";
/** Nothing listens there: the port is for a service that no system has any more. */
const NOT_LISTENING = "http://127.0.0.1:1";
const HAPPENS_WITHIN_MS = 20_000;

/** What a fleet is made of. */
export interface FleetOptions {
  stomaPath: string;
  breaker: Breaker;
  /** One gateway process for each, with a clock that stands so far from the machine's. */
  skews: readonly number[];
  /**
   * Whether the stores are given the policy's options.
   *
   * @default {true}
   */
  isShared?: boolean;
  /**
   * The gateway that cannot connect to the upstream, by its number from 0.
   *
   * @default {undefined}
   */
  broken?: number;
}

/** The circuit's row. Times are of the database's clock. */
export interface CircuitRow {
  state: string;
  version: number;
  lastStateChange: number;
  probeExpiresAt: number;
}

/** What became of requests that were sent at one moment. */
export interface Outcome {
  /** The answers that came. */
  answers: Answer[];
  /** What the upstream holds by now, also from before. */
  held: Held[];
}

/** Gateway processes, the upstream that they guard with one circuit, and the circuit's row. */
export class Fleet implements AsyncDisposable {
  readonly upstream: Upstream;
  readonly gateways: readonly GatewayProcess[];
  readonly breaker: Breaker;
  readonly #sql: ReturnType<typeof connect>;
  readonly #events: Events;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    parts: Pick<Fleet, "upstream" | "gateways" | "breaker">,
    sql: ReturnType<typeof connect>,
    events: Events,
    cleanup: AsyncDisposableStack,
  ) {
    this.upstream = parts.upstream;
    this.gateways = parts.gateways;
    this.breaker = parts.breaker;
    this.#sql = sql;
    this.#events = events;
    this.#cleanup = cleanup;
  }

  /** Starts everything; disposal ends everything. */
  static async start(options: FleetOptions): Promise<Fleet> {
    await using cleanup = new AsyncDisposableStack();
    const { stomaPath, breaker, skews, isShared = true, broken } = options;
    const events = new Events();
    const database = cleanup.use(await createDatabase());
    const sql = cleanup.use(connect(database.url));
    await migrate(fromPostgresJs(sql));
    const upstream = cleanup.use(new Upstream(() => events.notify()));
    const starting = await Promise.allSettled(skews.map(async (skew, index) => {
      const settings: GatewaySettings = {
        stomaPath,
        databaseUrl: database.url,
        upstreamUrl: index === broken ? NOT_LISTENING : upstream.url,
        name: `gateway-${index + 1}`,
        circuit: CIRCUIT,
        breaker,
        isShared,
        skew,
      };
      return cleanup.use(await GatewayProcess.start(settings, () => events.notify()));
    }));
    const gateways = starting.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return new Fleet({ upstream, gateways, breaker }, sql, events, cleanup.move());
  }

  /** The gateway that a held request came through. */
  gatewayOf({ gateway }: Held): GatewayProcess {
    return this.gateways.find(({ name }) => name === gateway)!;
  }

  /**
   * Has gateways send requests at one moment, and waits until every one is answered or held by the
   * upstream: what it holds overlaps with all that is answered.
   */
  async stampede(gateways: readonly GatewayProcess[], requests: number): Promise<Outcome> {
    const { held } = this.upstream;
    const waitingBefore = waitingOf(gateways) - held.length;
    const answersBefore = gateways.map(({ answers }) => answers.length);
    await Promise.all(gateways.map((gateway) => gateway.send({ requests })));
    await this.#events.until(
      () => waitingOf(gateways) - held.length <= waitingBefore,
      () => `${waitingOf(gateways)} requests to be answered, of which ${held.length} are held`,
    );
    return {
      answers: gateways.flatMap(({ answers }, index) => answers.slice(answersBefore[index])),
      held: [...held],
    };
  }

  /** Has the upstream answer a request, and waits for what its gateway makes of that. */
  async release(held: Held, status: number): Promise<Answer> {
    const gateway = this.gatewayOf(held);
    const before = gateway.answers.length;
    held.answer(status);
    await this.#events.until(
      () => gateway.answers.length > before,
      () => `${gateway.name} to answer`,
    );
    return gateway.answers[before]!;
  }

  /** Opens the circuit as a failing upstream does. */
  async trip(gateway: GatewayProcess): Promise<void> {
    const { upstream, breaker } = this;
    upstream.isHolding = false;
    upstream.status = 500;
    await this.stampede([gateway], breaker.failureThreshold);
    upstream.isHolding = true;
  }

  /** Lets the reset timeout be over at this moment, by the database's clock. */
  async expire(): Promise<void> {
    await this.#sql`update stoma_circuit_breakers
      set last_state_change = floor(date_part('epoch', clock_timestamp()) * 1000)
        - ${this.breaker.resetTimeoutMs}::int`;
  }

  /** Lets the lease of the probes be over at this moment, by the database's clock. */
  async endLease(): Promise<void> {
    await this.#sql`update stoma_circuit_breakers
      set probe_expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)`;
  }

  /** The circuit as it stands in the database. */
  async row(): Promise<CircuitRow> {
    const [row] = await this.#sql`
      select state, version, last_state_change, probe_expires_at from stoma_circuit_breakers
      where key = ${CIRCUIT}`;
    return {
      state: row!.state,
      version: Number(row!.version),
      lastStateChange: Number(row!.last_state_change),
      probeExpiresAt: Number(row!.probe_expires_at),
    };
  }

  /** What an operator sees. */
  async list(): Promise<CircuitListing[]> {
    await using store = new PostgresCircuitBreakerStore(fromPostgresJs(this.#sql), this.breaker);
    return await store.list();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }
}

function waitingOf(gateways: readonly GatewayProcess[]): number {
  return gateways.reduce((sum, { waiting }) => sum + waiting, 0);
}

/** Wakes all waiting callers at each event. */
class Events {
  #next = Promise.withResolvers<void>();

  notify(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers();
    resolve();
  }

  async until(condition: () => boolean, what: () => string): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`Cannot go on: waited too long for ${what()}`)),
      HAPPENS_WITHIN_MS,
    );
    try {
      while (!condition()) await Promise.race([this.#next.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
