import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { LOGIN_RETRY_MS, pooledTest, startPgBouncer } from "../support/pgbouncer.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { assertAccounted, Instance } from "./instance.ts";
import { Noise } from "./noise.ts";

/** Server connections that all clients share: far fewer than there are clients. */
const POOL_SIZE = 3;
const POOLED = { prepare: false };
const RECOVERY_WITHIN_MS = 2000;
const DRIVERS = { "postgres.js": openPostgresJs, "node-postgres": openNodePostgres };

pooledTest(
  "instances behind PgBouncer in transaction mode count exactly",
  async (_t, pgBouncer) => {
    await using database = await createDatabase();
    await using pooler = await startPgBouncer(pgBouncer, POOL_SIZE);
    await using crowd = await Crowd.start(pooler.urlOf(database.name));
    await crowd.gathered(2000);
    await using sql = connect(database.url);
    const rows = await sql<{ clients: number }[]>`
    select count(*)::int as clients from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`;
    const servers = rows[0]!.clients;
    assert(servers >= 1 && servers <= POOL_SIZE, `${servers} server connections`);
    await crowd.check();
  },
);

pooledTest("instances behind PgBouncer go on when its server was killed", async (_t, pgBouncer) => {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startPostgres());
  const pooler = resources.use(await startPgBouncer(pgBouncer, POOL_SIZE, server.url));
  {
    await using direct = await openPostgresJs(server.url);
    await migrate(direct.client, "circuits");
  }
  const instances = await Promise.all(
    (["throw", "local"] as const).flatMap((onOutage) =>
      Object.entries(DRIVERS).map(([driver, open]) =>
        Instance.start({
          url: pooler.urlOf("postgres"),
          name: `${driver} ${onOutage}`,
          onOutage,
          open: (url) => open(url, POOLED),
        })
      )
    ),
  );
  resources.defer(async () => {
    await Promise.all(instances.map((instance) => instance[Symbol.asyncDispose]()));
  });
  await Promise.all(instances.map((instance) => instance.acknowledge(100)));

  const { exited } = server;
  server.signal("SIGKILL");
  await exited;
  await Promise.all(instances.map((instance) => instance.lost));
  await server.restart();
  using noise = new Noise();
  const restarted = performance.now();
  for (const instance of instances) {
    await instance.recovered;
    const took = performance.now() - restarted - noise.total();
    assert(
      took < RECOVERY_WITHIN_MS + LOGIN_RETRY_MS,
      `${instance.name} came back after ${took} ms`,
    );
  }

  await Promise.all(instances.map((instance) => instance.acknowledge(100)));
  await using direct = connect(server.url);
  for (const instance of instances) {
    const account = await instance.end();
    const [row] = await direct<{ count: string }[]>`
      select success_count as count from circuits where key = ${instance.name}`;
    assertAccounted(instance.name, account, Number(row!.count));
  }
});

/** Instances on both drivers that record on shared circuits, all the time, through one pooler. */
class Crowd implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  readonly #stores: PostgresCircuitBreakerStore[] = [];
  readonly #keys = ["a", "b", "c"];
  #recorded = new Map<string, number>();
  #total = 0;
  #isOver = false;
  #loops: Promise<void>[] = [];
  #gathering: { count: number; resolve: () => void } | undefined;

  static async start(url: string): Promise<Crowd> {
    const crowd = new Crowd();
    for (const open of Object.values(DRIVERS)) {
      const { client } = crowd.#resources.use(await open(url, POOLED));
      await migrate(client, "crowd");
      crowd.#stores.push(new PostgresCircuitBreakerStore(client, "crowd", { timeoutMs: 10_000 }));
    }
    crowd.#loops = crowd.#stores.flatMap((store) =>
      crowd.#keys.map((key) => crowd.#run(store, key))
    );
    return crowd;
  }

  async #run(store: PostgresCircuitBreakerStore, key: string): Promise<void> {
    while (!this.#isOver) {
      await Promise.all([store.recordFailure(key), store.recordFailure(key), store.getState(key)]);
      this.#recorded.set(key, (this.#recorded.get(key) ?? 0) + 2);
      this.#total += 2;
      if (this.#total >= (this.#gathering?.count ?? Infinity)) this.#gathering!.resolve();
    }
  }

  /** Resolves when `count` calls have been counted, and rejects when one has failed. */
  async gathered(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gathering = { count, resolve };
    await Promise.race([promise, Promise.all(this.#loops)]);
  }

  /** Ends the load and compares what was stored with what was acknowledged. */
  async check(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    const stored = await this.#stores[0]!.peek(this.#keys);
    assertEquals(
      stored.map(({ failureCount }) => failureCount),
      this.#keys.map((key) => this.#recorded.get(key)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#loops);
    await this.#resources.disposeAsync();
  }
}
