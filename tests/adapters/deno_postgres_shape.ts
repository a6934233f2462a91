/**
 * Deno Postgres as its adapter sees it, for where JSR cannot be reached: its methods, its results, its
 * errors and what its pool does with connections, carried by node-postgres to a real server.
 */

// @ts-types="@types/pg"
import pg from "pg";
import type {
  DenoPostgresClientLike,
  DenoPostgresOwnedPoolLike,
} from "../../src/adapters/deno_postgres.ts";

/** An error with the server's fields in a field of its own. */
class PostgresError extends Error {
  override readonly name = "PostgresError";

  constructor(
    readonly fields: { severity: string; code: string; message: string },
    readonly query: string,
  ) {
    super(fields.message);
  }
}

/** An error of a connection on which the server answers no more. */
class ConnectionError extends Error {
  override readonly name = "ConnectionError";
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

/**
 * The shape of a `Client`. Once connected it takes itself for connected, also after its connection has
 * died: only `end` and `connect` bring it a new one.
 */
export class ClientShape implements DenoPostgresClientLike, AsyncDisposable {
  readonly #url: string;
  #driver: pg.Client | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** Connects the way `new Client(url)` and `connect()` do. */
  static async connect(url: string): Promise<ClientShape> {
    const client = new ClientShape(url);
    await client.connect();
    return client;
  }

  get connected(): boolean {
    return this.#driver !== undefined;
  }

  /** A client has this as well; the adapter must not take it for a pool. */
  async connect(): Promise<void> {
    if (this.#driver !== undefined) return;
    const driver = new pg.Client({ connectionString: this.#url, types: TYPES });
    // Nothing in the driver listens to a connection that is idle.
    driver.on("error", () => {});
    await driver.connect();
    this.#driver = driver;
  }

  async queryObject(text: string, args: unknown[] = []): Promise<{ rows: unknown[] }> {
    if (this.#driver === undefined) {
      throw new Error("Connection to the database has been terminated");
    }
    try {
      const { rows } = await this.#driver.query(text, args);
      return { rows };
    } catch (error) {
      const { severity, code, message } = error as Partial<pg.DatabaseError>;
      // After a fatal answer the driver reads on, and finds the end of the connection.
      if (code === undefined || severity === undefined || severity === "FATAL") {
        throw new ConnectionError("The session was terminated unexpectedly");
      }
      throw new PostgresError({ severity, code, message: message ?? "" }, text);
    }
  }

  async end(): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    await driver?.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

/** The shape of a `PoolClient`. */
class PoolClientShape extends ClientShape {
  readonly #release: () => void;

  constructor(url: string, release: () => void) {
    super(url);
    this.#release = release;
  }

  release(): void {
    this.#release();
  }
}

/**
 * The shape of a lazy `Pool`: a stack of clients, each connected when it is first taken. What cannot
 * be connected does not come back, what has died does. `end` takes only what is there, connects it
 * where it is not connected, and leaves those who wait without an answer.
 */
export class PoolShape implements DenoPostgresOwnedPoolLike, AsyncDisposable {
  readonly size: number;
  readonly #waiting: (() => void)[] = [];
  #available: PoolClientShape[] | undefined;

  constructor(url: string, size: number) {
    this.size = size;
    this.#available = Array.from({ length: size }, () => {
      const client: PoolClientShape = new PoolClientShape(url, () => this.#push(client));
      return client;
    });
  }

  async connect(): Promise<PoolClientShape> {
    const available = this.#available!;
    if (available.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
    const client = available.pop()!;
    await client.connect();
    return client;
  }

  #push(client: PoolClientShape): void {
    this.#available!.push(client);
    this.#waiting.shift()?.();
  }

  async end(): Promise<void> {
    if (this.#available === undefined) {
      throw new Error("Pool connections have already been terminated");
    }
    while (this.#available.length > 0) await (await this.connect()).end();
    this.#available = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
