// @ts-types="@types/pg"
import pg from "pg";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import type { PostgresClient } from "../../src/types.ts";

/** Rows by their columns. */
export type Row = Record<string, unknown>;

/**
 * The test's own connections, on a driver that lives through the loss of any of them. (An uncaught error
 * of postgres.js 3.4.7 can end its process when the server ends a connection at a bad moment.)
 */
export class Session implements AsyncDisposable {
  readonly client: PostgresClient;
  readonly #pool: pg.Pool;

  constructor(url: string, application: string, max: number = 1) {
    this.#pool = new pg.Pool({ connectionString: url, application_name: application, max });
    this.#pool.on("error", () => {});
    this.client = fromNodePostgres(this.#pool);
  }

  /** Runs a statement, on a new connection where the last one was lost. */
  async query<Found extends Row>(text: string, params: unknown[] = []): Promise<Found[]> {
    return (await this.#pool.query(text, params)).rows;
  }

  /** Runs statements in a transaction, which is rolled back where one fails. */
  async transaction(
    run: (query: (text: string, params?: unknown[]) => Promise<unknown>) => unknown,
  ): Promise<void> {
    const client = await this.#pool.connect();
    client.on("error", () => {});
    try {
      await client.query("begin");
      await run((text, params = []) => client.query(text, params));
      await client.query("commit");
    } finally {
      client.release(true);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}
