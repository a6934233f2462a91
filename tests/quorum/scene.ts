/** Fleets of stores with a quorum in one process, on a real table and with a clock that a test sets. */

import type postgres from "postgres";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { type CountedClient, countQueries } from "../conformance/emptied_tables.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { verdictOf } from "../support/policy.ts";

export const KEY = "api";
export const THRESHOLD = 5;
export const RESET = 20_000;
export const START = 1_700_000_000_000;

/** What the stores and the policies are given, unless a test says otherwise. */
export const BREAKER: PostgresCircuitBreakerStoreOptions & { readonly quorum: number } = {
  quorum: 2,
  failureThreshold: THRESHOLD,
  resetTimeoutMs: RESET,
  probeTimeoutMs: RESET,
};

/** The circuit's row. */
export interface VotedRow {
  state: string;
  votes: string[] | null;
  voters: string[] | null;
  muted: string[] | null;
}

/** A table, and the stores on it. */
export class Scene implements AsyncDisposable {
  /** The time of the clock that decides. */
  at: number = START;
  readonly sql: postgres.Sql;
  readonly #counted: CountedClient;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    counted: CountedClient,
    sql: postgres.Sql,
    cleanup: AsyncDisposableStack,
  ) {
    this.#counted = counted;
    this.sql = sql;
    this.#cleanup = cleanup;
  }

  static async open(): Promise<Scene> {
    await using cleanup = new AsyncDisposableStack();
    const database = cleanup.use(await createDatabase());
    const { client, raw } = cleanup.use(await openPostgresJs(database.url));
    await migrate(client);
    return new Scene(countQueries(client), raw, cleanup.move());
  }

  /** A store on the table, which disposal closes. `through` may change how it reaches the database. */
  store(
    instanceId: string,
    options: PostgresCircuitBreakerStoreOptions = {},
    through: (client: PostgresClient) => PostgresClient = (client) => client,
  ): PostgresCircuitBreakerStore {
    const now = () => this.at;
    const all = { ...BREAKER, instanceId, now, timeoutMs: 20_000, ...options };
    return this.#cleanup.use(new PostgresCircuitBreakerStore(through(this.#counted.client), all));
  }

  /** Resolves when no statement of a store is under way: votes are renewed in the background. */
  idle(): Promise<void> {
    return this.#counted.idle();
  }

  gateway(instanceId: string, options: PostgresCircuitBreakerStoreOptions = {}): Gateway {
    return new Gateway(this, this.store(instanceId, options), options.failureThreshold);
  }

  async row(key: string = KEY): Promise<VotedRow> {
    const [row] = await this.sql`
      select json_build_object('state', state, 'votes', vote_labels, 'voters', voters,
        'muted', muted)::text as row
      from stoma_circuit_breakers where key = ${key}`;
    return JSON.parse(row!.row);
  }

  /** What the log says, as `actor: from -> to by cause, reason`. */
  async log(key: string = KEY): Promise<string[]> {
    const rows = await this.sql`
      select * from stoma_circuit_breakers_changes
      where key = ${key} and cause not in ('zeroed', 'round') order by version`;
    return rows.map(({ actor, from_state, to_state, cause, reason }) =>
      `${actor}: ${from_state} -> ${to_state} by ${cause}${reason ? `, ${reason}` : ""}`
    );
  }

  /** How often the fleet's circuit has opened. */
  async openings(key: string = KEY): Promise<number> {
    return (await this.log(key)).filter((line) => line.includes("closed -> open")).length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }
}

/** What became of a request. */
export type Outcome = "passed" | "failed" | "refused";

/** An instance of the gateway: a store, and what Stoma's policy does with it. */
export class Gateway {
  readonly store: PostgresCircuitBreakerStore;
  /** Whether it reaches the upstream. */
  isWell = true;
  readonly #scene: Scene;
  readonly #threshold: number;

  constructor(scene: Scene, store: PostgresCircuitBreakerStore, threshold: number = THRESHOLD) {
    this.#scene = scene;
    this.store = store;
    this.#threshold = threshold;
  }

  async request(key: string = KEY): Promise<Outcome> {
    const { store } = this;
    const { kind } = verdictOf(await store.getState(key), this.#scene.at, RESET);
    if (kind === "refuse") return "refused";
    if (kind === "own round") throw new Error("The policy would make a round of its own");
    if (this.isWell) {
      await store.recordSuccess(key);
      if (kind === "probe") await store.transition(key, "closed");
      return "passed";
    }
    const { failureCount } = await store.recordFailure(key);
    if (kind === "probe" || failureCount >= this.#threshold) await store.transition(key, "open");
    return "failed";
  }

  async requests(count: number, key: string = KEY): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (let i = 0; i < count; i++) outcomes.push(await this.request(key));
    return outcomes;
  }
}
