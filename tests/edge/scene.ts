/** A store in front of a real server, in a runtime that binds work to requests. */

import { assertEquals } from "@std/assert";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { Requests } from "./requests.ts";

/** How long a call may take. Work is taken for dead after twice this time. */
export const TIMEOUT_MS = 800;

/** Statements, by what only they have. */
export const TAIL: RegExp = /pg_current_snapshot/;
export const FLUSH: RegExp = /with token as materialized/;
export const REGISTER: RegExp = /\(id, label, library, bound_ms/;
export const CHECK: RegExp = /pg_postmaster_start_time|pg_is_in_recovery/;

/** A statement that never has an answer. */
interface Hold {
  readonly matches: RegExp;
  /** Whether the server executes it all the same. */
  readonly isExecuted: boolean;
  readonly reached: PromiseWithResolvers<void>;
}

/** A client that can keep an answer back, and be out of reach. */
export class TestClient implements PostgresClient {
  readonly statements: string[] = [];
  isDown = false;
  readonly #client: PostgresClient;
  #hold: Hold | undefined;

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  /** Keeps back the answer of the next statement that matches. Resolves when it was sent. */
  hold(matches: RegExp, isExecuted = false): Promise<void> {
    const reached = Promise.withResolvers<void>();
    this.#hold = { matches, isExecuted, reached };
    return reached.promise;
  }

  /** How many statements were sent that match. */
  sent(matches: RegExp): number {
    return this.statements.filter((text) => matches.test(text)).length;
  }

  async query(text: string, params?: unknown[]): ReturnType<PostgresClient["query"]> {
    this.statements.push(text);
    const hold = this.#hold;
    if (hold?.matches.test(text)) {
      this.#hold = undefined;
      if (hold.isExecuted) await this.#client.query(text, params);
      hold.reached.resolve();
      return await new Promise(() => {});
    }
    if (this.isDown) throw Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    return await this.#client.query(text, params);
  }
}

/** What a test works with. Disposal fails where the store broke the rules of the runtime. */
export class EdgeScene implements AsyncDisposable {
  readonly requests: Requests = new Requests();
  readonly client: TestClient;
  readonly sql: ReturnType<typeof connect>;
  /** A store of a process that uses the same table. */
  readonly other: PostgresCircuitBreakerStore;
  readonly errors: string[] = [];
  readonly outages: boolean[] = [];
  readonly #raw: PostgresClient;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    raw: PostgresClient,
    sql: ReturnType<typeof connect>,
    resources: AsyncDisposableStack,
  ) {
    this.#raw = raw;
    this.sql = sql;
    this.#resources = resources;
    this.client = new TestClient(raw);
    this.other = new PostgresCircuitBreakerStore(raw, "circuits");
  }

  static async open(): Promise<EdgeScene> {
    await using resources = new AsyncDisposableStack();
    const { url } = resources.use(await createDatabase());
    const driver = resources.use(await openPostgresJs(url));
    const sql = resources.use(connect(url));
    await migrate(driver.client, "circuits");
    return new EdgeScene(driver.client, sql, resources.move());
  }

  /** Makes a store at module scope. */
  store(options: PostgresCircuitBreakerStoreOptions = {}): PostgresCircuitBreakerStore {
    return new PostgresCircuitBreakerStore(this.requests.client(this.client), "circuits", {
      waitUntil: this.requests.waitUntil,
      timeoutMs: TIMEOUT_MS,
      onError: ({ message }) => this.errors.push(message),
      onOutageChange: ({ isOut }) => this.outages.push(isOut),
      ...options,
    });
  }

  /** A request to its end. */
  run<Result>(handle: () => Promise<Result>): Promise<Result> {
    return this.requests.run(handle);
  }

  /** Cancels a request as soon as a statement of it is under way. */
  async cancelAt(
    matches: RegExp,
    handle: () => Promise<unknown>,
    isExecuted = false,
  ): Promise<void> {
    const reached = this.client.hold(matches, isExecuted);
    const request = this.requests.begin(handle);
    await reached;
    request.cancel();
  }

  /** Makes requests until one of them sends a statement, and cancels that one. */
  async cancelWhichever(
    matches: RegExp,
    handle: () => Promise<unknown>,
    isExecuted = false,
  ): Promise<void> {
    let isReached = false;
    const reached = this.client.hold(matches, isExecuted).then(() => void (isReached = true));
    for (let i = 0; i < 200; i++) {
      const request = this.requests.begin(handle);
      await Promise.race([reached, request.ended, pass(50)]);
      if (isReached) return request.cancel();
      await pass(5);
    }
    throw new Error(`no request sent ${matches}`);
  }

  /** The successes that the database has counted. */
  async stored(key: string): Promise<number> {
    const rows = await this.sql`select success_count as n from circuits where key = ${key}`;
    return Number(rows[0]?.["n"] ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.requests.ended();
    const { violations, timers } = this.requests;
    this.requests[Symbol.dispose]();
    await this.other.close();
    await this.#resources.disposeAsync();
    assertEquals([violations, timers], [[], 0]);
  }
}

/** Lets time pass for what goes by it. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
