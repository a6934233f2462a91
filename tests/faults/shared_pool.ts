/**
 * A driver's pool that a store shares with the rest of its program, as in every gateway.
 *
 * @module
 */

import type { PostgresClient } from "../../mod.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import type { Driver } from "./messages.ts";

const PAUSE_MS = 10;

/** What a driver says of a session that was closed: by its server, or before it was of use. */
const CLOSED_SESSION = [
  "57P01",
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "ECONNRESET",
  "EPIPE",
  "Connection terminated",
  "Connection terminated unexpectedly",
  "Client has encountered a connection error and is not queryable",
];

/** An open pool. It keeps its sessions for good. Disposal closes it. */
export interface SharedPool extends AsyncDisposable {
  /** The pool through its adapter. */
  readonly client: PostgresClient;
  /** Has as many sessions open at once, so that the pool opens those that it lacks. */
  open(sessions: number): Promise<void>;
  /** Runs a statement. */
  query(text: string): Promise<unknown>;
  /** Runs statements in a transaction. */
  transaction(...texts: string[]): Promise<void>;
}

/** Opens a pool whose sessions carry a name. */
export function openSharedPool(driver: Driver, url: string, name: string, max: number): SharedPool {
  return driver === "postgres.js"
    ? openPostgresJs(url, name, max)
    : openNodePostgres(url, name, max);
}

function openPostgresJs(url: string, name: string, max: number): SharedPool {
  const sql = postgres(url, {
    max,
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: name },
  });
  return {
    client: fromPostgresJs(sql),
    async open(sessions) {
      // Sent in one go, each on a session of its own.
      await Promise.all(Array.from({ length: sessions }, () => sql.unsafe("select 1")));
    },
    query: async (text) => await sql.unsafe(text),
    async transaction(...texts) {
      await sql.begin(async (sql) => {
        for (const text of texts) await sql.unsafe(text);
      });
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
  };
}

function openNodePostgres(url: string, name: string, max: number): SharedPool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max,
    idleTimeoutMillis: 0,
  });
  // An idle connection that the server ends is reported here, and is fatal where nothing listens.
  pool.on("error", () => {});
  return {
    client: fromNodePostgres(pool),
    async open(sessions) {
      const clients = await Promise.all(Array.from({ length: sessions }, () => pool.connect()));
      for (const client of clients) client.release();
    },
    query: async (text) => await pool.query(text),
    async transaction(...texts) {
      const client = await pool.connect();
      const ignore = () => {};
      client.on("error", ignore); // the statement in flight fails as well
      let failure: Error | undefined;
      try {
        await client.query("begin");
        for (const text of texts) await client.query(text);
        await client.query("commit");
      } catch (error) {
        failure = error as Error;
        throw error;
      } finally {
        client.off("error", ignore);
        client.release(failure);
      }
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

/** The rest of the program: statements and transactions on the pool, one after the other, all the time. */
export class Traffic implements AsyncDisposable {
  /** Failures that are not those of a closed session. */
  readonly failures: unknown[] = [];
  /** How many statements and transactions went well. */
  done = 0;
  readonly #pool: SharedPool;
  #running: Promise<unknown> | undefined;
  #isOver = false;

  constructor(pool: SharedPool) {
    this.#pool = pool;
  }

  /** Begins, also again. */
  start(): void {
    this.#isOver = false;
    const pool = this.#pool;
    const transaction = () => pool.transaction("select 1", "select pg_sleep(0.002)", "select 2");
    this.#running = Promise.all([
      this.#repeat(() => pool.query("select 1")),
      this.#repeat(() => pool.query("select pg_sleep(0.002)")),
      this.#repeat(transaction),
      this.#repeat(transaction),
    ]);
  }

  async #repeat(work: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      try {
        await work();
        this.done++;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (![code, message].some((said) => CLOSED_SESSION.includes(said!))) {
          this.failures.push(error);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Ends what runs: postgres.js ends the process where a transaction loses its session. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
