import { startPostgres } from "../../tests/support/postgres_server.ts";
import { dropAbandonedDatabases } from "../../tests/support/database.ts";
import { bundleStoma, loadStomaAdapters } from "../../tests/support/stoma.ts";
import { CircuitsDatabase, TABLE } from "./circuits.ts";
import { type Contender, type ContenderName, type Endpoint, openContender } from "./contenders.ts";
import { cpuSecondsOf, ownCpuSecondsOf } from "./cpu.ts";
import { type RedisServer, startRedis } from "./redis.ts";

// A server as it is in production: durable, and with its default autovacuum.
const SERVER_SETTINGS = {
  fsync: "on",
  full_page_writes: "on",
  max_connections: "500",
  // Counts statements, only where an experiment switches it on.
  shared_preload_libraries: "pg_stat_statements",
  "pg_stat_statements.track": "none",
  shared_buffers: "128MB",
  TimeZone: "UTC",
};

/** All servers, databases and open contenders of a run. */
export class Stage implements AsyncDisposable {
  /** Stoma, bundled. */
  readonly gatewayPath: string;
  /** What runs where, for the report. */
  readonly servers: { postgres: string; redis: string | undefined };
  readonly #resources: AsyncDisposableStack;
  readonly #admin: string;
  readonly #postgresPid: number | undefined;
  readonly #redis: RedisServer | undefined;
  readonly #databases: Map<ContenderName, CircuitsDatabase>;
  readonly #adaptersPath: string;
  readonly #open = new Map<string, Promise<Contender>>();

  private constructor(
    fields: {
      resources: AsyncDisposableStack;
      admin: string;
      postgresPid: number | undefined;
      postgresVersion: string;
      redis: RedisServer | undefined;
      databases: Map<ContenderName, CircuitsDatabase>;
      bundle: { gatewayPath: string; adaptersPath: string };
    },
  ) {
    this.#resources = fields.resources;
    this.#admin = fields.admin;
    this.#postgresPid = fields.postgresPid;
    this.#redis = fields.redis;
    this.#databases = fields.databases;
    this.#adaptersPath = fields.bundle.adaptersPath;
    this.gatewayPath = fields.bundle.gatewayPath;
    this.servers = { postgres: fields.postgresVersion, redis: fields.redis?.version };
  }

  /** Starts what is needed: PostgreSQL unless `DATABASE_URL` names one, and Redis where there is one. */
  static async open(): Promise<Stage> {
    await using resources = new AsyncDisposableStack();
    const given = Deno.env.get("DATABASE_URL");
    const server = given
      ? undefined
      : resources.use(await startPostgres({ settings: SERVER_SETTINGS }));
    const admin = given || server!.url;
    if (given) await dropAbandonedDatabases(given);
    const redis = await startRedis();
    if (redis) resources.use(redis);
    const bundle = resources.use(await bundleStoma());
    const { POSTGRES_SCHEMA_SQL } = await loadStomaAdapters(bundle.adaptersPath);
    const ours = resources.use(await CircuitsDatabase.create(admin));
    const databases = new Map<ContenderName, CircuitsDatabase>([
      ["ours", ours],
      ["stale", resources.use(await CircuitsDatabase.create(admin))],
      ["original", resources.use(await CircuitsDatabase.create(admin, POSTGRES_SCHEMA_SQL))],
      ["floor", resources.use(await CircuitsDatabase.create(admin))],
      ["gathered", resources.use(await CircuitsDatabase.create(admin))],
    ]);
    return new Stage({
      admin,
      postgresPid: server?.pid,
      postgresVersion: await ours.serverVersion(),
      redis,
      databases,
      bundle,
      resources: resources.move(),
    });
  }

  /** Whether a contender can take part. */
  has(name: ContenderName): boolean {
    return name !== "redis" || this.#redis !== undefined;
  }

  /** Where a contender's circuits are. */
  endpoint(name: ContenderName): Endpoint {
    const url = name === "redis" ? this.#redis?.url : this.#databases.get(name)?.url;
    return { name, url: url ?? "", table: TABLE, adaptersPath: this.#adaptersPath };
  }

  /** The contender in this process, opened when it is first asked for. */
  contender(name: ContenderName): Promise<Contender> {
    return this.#opened(name, this.endpoint(name));
  }

  /** This library on a table of its own with that many rows, filled when it is first asked for. */
  async filled(rows: number): Promise<Contender> {
    const name = `ours, ${rows}`;
    if (!this.#open.has(name)) {
      const database = this.#resources.use(await CircuitsDatabase.create(this.#admin));
      await database.fill(rows);
      await this.#opened(name, { ...this.endpoint("ours"), url: database.url });
    }
    return await this.#open.get(name)!;
  }

  /** A table of circuits for one caller alone: ours, or by the given SQL. The caller disposes of it. */
  createDatabase(schemaSql?: string): Promise<CircuitsDatabase> {
    return CircuitsDatabase.create(this.#admin, schemaSql);
  }

  /** The contender's table, if it has one. */
  database(name: ContenderName): CircuitsDatabase | undefined {
    return this.#databases.get(name);
  }

  /** CPU seconds of the contender's server so far; NaN where the server is not ours to look at. */
  async serverCpu(name: ContenderName): Promise<number> {
    if (name === "memory") return 0;
    const pid = name === "redis" ? this.#redis?.pid : this.#postgresPid;
    return pid === undefined ? NaN : await cpuSecondsOf(pid);
  }

  /** CPU seconds of one of the server's processes so far; NaN where the server is not ours to look at. */
  async backendCpu(pid: number): Promise<number> {
    return this.#postgresPid === undefined ? NaN : await ownCpuSecondsOf(pid) ?? NaN;
  }

  #opened(name: string, endpoint: Endpoint): Promise<Contender> {
    let contender = this.#open.get(name);
    if (contender === undefined) {
      contender = openContender(endpoint).then((opened) => this.#resources.use(opened));
      this.#open.set(name, contender);
    }
    return contender;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}
