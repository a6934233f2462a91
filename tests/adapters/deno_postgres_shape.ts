/**
 * Deno Postgres as its adapter sees it, for where JSR cannot be reached: its methods, its results and
 * its errors, carried by node-postgres to a real server.
 */

// @ts-types="@types/pg"
import pg from "pg";
import type { DenoPostgresClientLike } from "../../src/adapters/deno_postgres.ts";

/** An error with the server's fields in a field of its own. */
class PostgresError extends Error {
  override readonly name = "PostgresError";

  constructor(readonly fields: { code: string; message: string }, readonly query: string) {
    super(fields.message);
  }
}

/** bigint as BigInt, every number with a fraction as text, the rest as node-postgres has it. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (oid === pg.types.builtins.INT8) return BigInt;
    if (oid === pg.types.builtins.FLOAT8 || oid === pg.types.builtins.NUMERIC) return String;
    return format === "binary"
      ? pg.types.getTypeParser(oid, "binary")
      : pg.types.getTypeParser(oid, "text");
  },
};

/** The shape of a `Client`, or of a `PoolClient` on what a pool lent. */
export class ClientShape implements DenoPostgresClientLike, AsyncDisposable {
  readonly #driver: pg.ClientBase;

  constructor(driver: pg.ClientBase) {
    this.#driver = driver;
  }

  /** Connects the way `new Client(url)` and `connect()` do. */
  static async connect(url: string): Promise<ClientShape> {
    const driver = new pg.Client({ connectionString: url, types: TYPES });
    await driver.connect();
    return new ClientShape(driver);
  }

  /** A client has this as well; the adapter must not take it for a pool. */
  connect(): Promise<void> {
    return Promise.resolve();
  }

  async queryObject(text: string, args: unknown[] = []): Promise<{ rows: unknown[] }> {
    try {
      const { rows } = await this.#driver.query(text, args);
      return { rows };
    } catch (error) {
      const { code, message } = error as pg.DatabaseError;
      throw new PostgresError({ code: code ?? "", message }, text);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#driver instanceof pg.Client) await this.#driver.end();
  }
}

/** The shape of a `Pool`. */
export class PoolShape implements AsyncDisposable {
  readonly #pool: pg.Pool;

  constructor(url: string, size: number) {
    this.#pool = new pg.Pool({ connectionString: url, max: size, types: TYPES });
  }

  async connect(): Promise<ClientShape & { release(): void }> {
    const lent = await this.#pool.connect();
    return Object.assign(new ClientShape(lent), { release: () => lent.release() });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.end();
  }
}
