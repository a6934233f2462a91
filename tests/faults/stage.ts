import { migrate } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../support/database.ts";
import type { PostgresServer } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { LoadProcess } from "./load_process.ts";
import { type Driver, DRIVERS, type LoadSettings, type Mode, MODES } from "./messages.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** Calls of each load before anything happens, and after all is well again. */
const ANSWERS = 300;

/** How long a call waits for the database, unless a scenario says otherwise. */
export const TIMEOUT_MS = 800;

/** What a stage is made of. */
export interface StageOptions {
  server: PostgresServer;
  stomaPath: string;
  /**
   * Whether loads connect to the server itself and not through a proxy.
   *
   * @default {false}
   */
  isDirect?: boolean;
  /**
   * Which drivers play.
   *
   * @default {DRIVERS}
   */
  drivers?: readonly Driver[];
  /** What differs from the usual load. */
  load?: Partial<Pick<LoadSettings, "timeoutMs" | "connections" | "callers" | "pauseMs">>;
}

/** A load and the proxy between it and the server. */
export interface Player {
  readonly driver: Driver;
  readonly mode: Mode;
  readonly load: LoadProcess;
  readonly proxy: TcpProxy;
}

/** A database under load from every driver in every mode, each in a process of its own. */
export class Stage implements AsyncDisposable {
  readonly server: PostgresServer;
  /** The database's name. */
  readonly database: string;
  readonly players: readonly Player[];
  readonly #url: string;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    parts: Pick<Stage, "server" | "database" | "players">,
    url: string,
    cleanup: AsyncDisposableStack,
  ) {
    this.server = parts.server;
    this.database = parts.database;
    this.players = parts.players;
    this.#url = url;
    this.#cleanup = cleanup;
  }

  /** Starts everything; disposal ends everything but the server. */
  static async open(options: StageOptions): Promise<Stage> {
    await using cleanup = new AsyncDisposableStack();
    const { server, stomaPath, isDirect, drivers = DRIVERS, load } = options;
    const { url, name: database } = cleanup.use(await createDatabase(server.url));
    await migrateAt(url);
    const starting = await Promise.allSettled(
      drivers.flatMap((driver) =>
        MODES.map(async (mode): Promise<Player> => {
          const proxy = cleanup.use(TcpProxy.start(url));
          const process = cleanup.use(
            await LoadProcess.start({
              name: `${driver} ${mode}`,
              driver,
              mode,
              databaseUrl: isDirect ? url : proxy.urlOf(url),
              stomaPath,
              // Long for a machine that is busy: what is well must not miss it.
              timeoutMs: TIMEOUT_MS,
              connections: 4,
              callers: 6,
              pauseMs: 10,
              ...load,
            }),
          );
          return { driver, mode, load: process, proxy };
        })
      ),
    );
    const players = starting.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    const stage = new Stage({ server, database, players }, url, cleanup.move());
    await stage.phase("start");
    return stage;
  }

  /** Something for all loads at once. */
  each<T>(action: (player: Player, index: number) => Promise<T> | T): Promise<T[]> {
    return Promise.all(this.players.map(action));
  }

  /** Has all loads count under new keys, until each has made some calls. */
  async phase(phase: string, answers: number = ANSWERS): Promise<void> {
    await this.each(({ load }) => load.phase(phase, answers));
  }

  /** Waits until every store has noticed that the database is out. */
  async untilOut(): Promise<void> {
    await this.each(({ load }) => load.until("outage", ({ isOut }) => isOut));
  }

  /** Makes the table. */
  async migrate(): Promise<void> {
    await migrateAt(this.#url);
  }

  /** A connection of the administrator's to the database, past all proxies. */
  connect(): ReturnType<typeof connect> {
    return connect(this.#url);
  }

  /** A connection of the administrator's to the server, past all proxies. */
  connectServer(): ReturnType<typeof connect> {
    return connect(this.server.url);
  }

  /** Waits until the server has noticed the end of every connection of the loads. */
  async untilNoneIsConnected(): Promise<void> {
    await using sql = this.connectServer();
    await until(async () => {
      const rows = await sql`select from pg_stat_activity where datname = ${this.database}`;
      return rows.length === 0;
    }, 30_000);
  }

  /** Ends every connection to the database but the one that asks. */
  async terminateAll(sql: ReturnType<typeof connect>): Promise<void> {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${this.database} and pid <> pg_backend_pid()`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

async function migrateAt(url: string): Promise<void> {
  await using sql = connect(url);
  await migrate(fromPostgresJs(sql));
}

/** Lets a fault last: the time is the fault itself, nothing is synchronised by it. */
export function last(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
