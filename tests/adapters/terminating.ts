/**
 * What the store may expect of a client that says it replaces sessions. The runner is injected, so that
 * the same test runs under Deno and Bun.
 */

import { assert, assertEquals } from "@std/assert";
import { runAloneOf } from "../../src/client_traits.ts";
import { withDeadline } from "../../src/time/deadlines.ts";
import type { PostgresClient } from "../../src/types.ts";
import type { TestRunner } from "../conformance/session.ts";

/** A pool to test. */
export interface PoolUnderTest {
  readonly name: string;
  /** How many statements besides the one that ends it may be on a connection at once. */
  readonly companions: number;
  /** Opens the driver on at most `max` connections to a real server. */
  open(max: number): Promise<{ readonly client: PostgresClient } & AsyncDisposable>;
}

const PLACES = 4;
const WORKERS = 8;
const ROUNDS = 30;
const END_OWN_SESSION = "select pg_terminate_backend(pg_backend_pid())";

/** Defines the test for one pool. */
export function terminatingContract(runner: TestRunner, pool: PoolUnderTest): void {
  runner.test(`${pool.name}: a pool outlives sessions that end from inside a statement`, async () => {
    await using opened = await pool.open(PLACES);
    const { client } = opened;
    const runAlone = runAloneOf(client);
    assert(runAlone !== undefined);
    using load = new Load(client);
    for (let round = 0; round < ROUNDS; round++) {
      await withDeadline(10_000, "go on", load.allSucceed());
      const ended = runAlone(END_OWN_SESSION).then(() => "answered", () => "rejected");
      assertEquals(await withDeadline(10_000, "end its session", ended), "rejected");
    }
    await withDeadline(10_000, "go on", load.allSucceed());
    await load.end();
    assert(load.failures.length <= ROUNDS * pool.companions, load.failures.join("\n"));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => client.query("select $1::int as n", [n])),
    );
    assertEquals(answers.map(({ rows: [row] }) => ({ ...row })), answers.map((_, n) => ({ n })));
  });
}

/** Workers that each send one statement after the other, until disposal. */
class Load implements Disposable {
  /** What statements failed with. */
  readonly failures: string[] = [];
  readonly #client: PostgresClient;
  readonly #workers: Promise<void>[];
  #isOver = false;
  /** The workers that have yet to succeed, and who waits for them. */
  #missing = new Set<number>();
  #resolve: () => void = () => {};

  constructor(client: PostgresClient) {
    this.#client = client;
    this.#workers = Array.from({ length: WORKERS }, (_, worker) => this.#work(worker));
  }

  /** Resolves once a statement of each worker has succeeded that was sent from now on. */
  async allSucceed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resolve = resolve;
    this.#missing = new Set(this.#workers.keys());
    await promise;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers);
  }

  async #work(worker: number): Promise<void> {
    while (!this.#isOver) {
      const missing = this.#missing;
      try {
        await this.#client.query("select 1 as n");
      } catch (error) {
        this.failures.push(String(error));
        continue;
      }
      if (missing.delete(worker) && missing === this.#missing && missing.size === 0) {
        this.#resolve();
      }
    }
  }
}
