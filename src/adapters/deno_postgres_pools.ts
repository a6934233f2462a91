/**
 * How a pool of Deno Postgres is replaced: the driver keeps a connection that has died, and every
 * statement that is given it fails.
 *
 * @module
 */

import type { PostgresClient } from "../types.ts";
import { withDeadline } from "../time/deadlines.ts";
import { having, wrongDriver } from "./argument.ts";
import type {
  DenoPostgresClientLike,
  DenoPostgresOwnedPoolLike,
  PoolOwningClient,
} from "./deno_postgres_like.ts";
import { END_WITHIN_MS } from "./subscription.ts";

type Rows = Awaited<ReturnType<PostgresClient["query"]>>;
type PooledConnection = Awaited<ReturnType<DenoPostgresOwnedPoolLike["connect"]>>;

/** What a statement hears that waits for a connection of a pool which is replaced. */
const REPLACED = Symbol();

/** Runs a statement on a connection and returns its rows. */
export async function run(
  client: DenoPostgresClientLike,
  text: string,
  params: unknown[],
): Promise<Rows> {
  const { rows } = await client.queryObject(text, params);
  return { rows: rows as Rows["rows"] };
}

/**
 * The client of a factory. It is in one of three states:
 * - no pool: the next statement makes one;
 * - a current pool: statements take connections from it and release them to it;
 * - ended: statements reject.
 *
 * A statement that loses its connection, or cannot open one, moves the client from its current pool
 * to no pool. A replaced pool is ended in the background. Its connections that are in use end with
 * their statements, and a statement that waits for one of them goes to the next pool.
 */
export class ReplacingClient implements PoolOwningClient {
  readonly #makePool: () => DenoPostgresOwnedPoolLike;
  readonly #endings = new Set<Promise<void>>();
  #current: OwnedPool | undefined;
  #hasEnded = false;

  constructor(makePool: () => DenoPostgresOwnedPoolLike) {
    this.#makePool = makePool;
  }

  async query(text: string, params: unknown[] = []): Promise<Rows> {
    while (true) {
      const owned = this.#currentPool();
      const connection = await this.#take(owned);
      if (connection !== REPLACED) return await this.#run(owned, connection, text, params);
    }
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    if (this.#current !== undefined) this.#replace(this.#current);
    try {
      await withDeadline(END_WITHIN_MS, "end the pool", Promise.all(this.#endings));
    } catch {
      // A server that does not answer does not hear of the end either.
    }
  }

  #currentPool(): OwnedPool {
    if (this.#hasEnded) throw new Error("Cannot query Deno Postgres: the client has ended");
    this.#current ??= new OwnedPool(makeChecked(this.#makePool));
    return this.#current;
  }

  async #take(owned: OwnedPool): Promise<PooledConnection | typeof REPLACED> {
    const connecting = owned.pool.connect();
    try {
      const taken = await owned.unlessReplaced(connecting);
      // It may still come, and would be open for good.
      if (taken === REPLACED) connecting.then((late) => late.end()).catch(() => {});
      return taken;
    } catch (error) {
      // The driver does not put a connection back that it could not open.
      this.#replace(owned);
      throw error;
    }
  }

  async #run(
    owned: OwnedPool,
    connection: PooledConnection,
    text: string,
    params: unknown[],
  ): Promise<Rows> {
    try {
      return await run(connection, text, params);
    } catch (error) {
      if (hasLostConnection(error)) this.#replace(owned);
      throw error;
    } finally {
      // A pool that has ended throws where a connection is released to it.
      if (owned.isReplaced) this.#inBackground(connection.end());
      else connection.release();
    }
  }

  /** Ends a pool, unless another statement has done so. The next statement makes another one. */
  #replace(owned: OwnedPool): void {
    if (owned.isReplaced) return;
    owned.replace();
    this.#current = undefined;
    this.#inBackground(endPool(owned.pool));
  }

  /** Lets something go on that no statement waits for. `end` does, for a while. */
  #inBackground(work: Promise<unknown>): void {
    const ending = work.then(() => {}, () => {}).then(() => void this.#endings.delete(ending));
    this.#endings.add(ending);
  }
}

/** A pool from the factory, and whether it was replaced. */
class OwnedPool {
  readonly pool: DenoPostgresOwnedPoolLike;
  isReplaced = false;
  readonly #waiting = new Set<() => void>();

  constructor(pool: DenoPostgresOwnedPoolLike) {
    this.pool = pool;
  }

  /** What a connection becomes, or `REPLACED` where the pool is replaced before. */
  async unlessReplaced(
    connecting: Promise<PooledConnection>,
  ): Promise<PooledConnection | typeof REPLACED> {
    let leave = () => {};
    const replaced = new Promise<typeof REPLACED>((resolve) => leave = () => resolve(REPLACED));
    this.#waiting.add(leave);
    try {
      return await Promise.race([connecting, replaced]);
    } finally {
      this.#waiting.delete(leave);
    }
  }

  replace(): void {
    this.isReplaced = true;
    for (const leave of this.#waiting) leave();
  }
}

function makeChecked(makePool: () => DenoPostgresOwnedPoolLike): DenoPostgresOwnedPoolLike {
  const pool = makePool();
  if (having(pool, "connect", "end") && !having(pool, "queryObject") && !having(pool, "query")) {
    return pool;
  }
  throw wrongDriver("Deno Postgres", "a function that returns a Pool of @db/postgres", pool);
}

/**
 * Whether an error means that its connection is gone. The server answers with `fields`; an answer
 * that is fatal is the last one on its connection.
 */
function hasLostConnection(error: unknown): boolean {
  const { fields } = (error ?? {}) as { fields?: { severity?: unknown } };
  return fields === undefined || fields.severity === "FATAL" || fields.severity === "PANIC";
}

/**
 * Ends a pool. The driver's `end` stops at the first connection that it cannot end; the next call
 * goes on with the others.
 */
async function endPool(pool: DenoPostgresOwnedPoolLike): Promise<void> {
  for (let left = pool.size; left > 0; left--) {
    try {
      return await pool.end();
    } catch {
      // On to the next connection.
    }
  }
}
