/**
 * A real, throw-away PostgreSQL server for tests, the demo and benchmarks.
 *
 * @module
 */

import { GuardedFolder } from "./guarded_folder.ts";
import {
  fetchPostgres,
  isPostgresVersion,
  linkPostgres,
  POSTGRES_VERSIONS,
  type PostgresVersion,
} from "./postgres_binaries.ts";
import { type Unprivileged, unprivileged } from "./unprivileged.ts";

/** How a throw-away server differs from the default one. */
export interface PostgresServerOptions {
  /**
   * Server settings, as in `postgresql.conf`, which win over the defaults. The defaults are fast and
   * careless (`fsync` off) and speak a time zone that is not UTC.
   */
  settings?: Record<string, string>;
  /**
   * The PostgreSQL major.
   *
   * @default {"18", or what the environment variable `PG_VERSION` says}
   */
  version?: PostgresVersion;
}

/** A running throw-away server. It ends, and its files vanish, with the process that started it. */
export interface PostgresServer extends AsyncDisposable {
  /** The superuser's connection string, database `postgres`. */
  readonly url: string;
  /** The address it listens on, always 127.0.0.1. */
  readonly host: string;
  /** The port it listens on. The same after a restart. */
  readonly port: number;
  /** Its data folder. */
  readonly dataDirectory: string;
  /** The pid of its main process. Another one after a restart. */
  readonly pid: number;
  /** Resolves when the main process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Sends a signal to the main process: SIGKILL is a crash, SIGSTOP holds back new connections. */
  signal(signal: Deno.Signal): void;
  /** Starts it again with the same port and data, after ending it if it still runs. */
  restart(): Promise<void>;
  /** Ends it and removes everything. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const READY_WITHIN_MS = 30_000;
const PORT_ATTEMPTS = 5;

// Without fsync a commit still outlives a killed server, though not a power cut.
const DEFAULT_SETTINGS: Record<string, string> = {
  dynamic_shared_memory_type: "mmap",
  fsync: "off",
  full_page_writes: "off",
  log_timezone: "UTC",
  max_connections: "200",
  shared_buffers: "64MB",
  TimeZone: "America/St_Johns",
};

/**
 * Starts a throw-away PostgreSQL on a free port of 127.0.0.1.
 *
 * @example
 * ```ts ignore
 * await using server = await startPostgres({ settings: { fsync: "on" } });
 * const sql = postgres(server.url);
 * ```
 */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const native = await fetchPostgres(options.version ?? versionFromEnvironment());
  const folder = await GuardedFolder.create("QUIT");
  try {
    const server = new EmbeddedServer(folder, await unprivileged());
    await server.initialise(native, { ...DEFAULT_SETTINGS, ...options.settings });
    await server.startOnFreePort();
    return server;
  } catch (error) {
    await folder.end();
    throw error;
  }
}

function versionFromEnvironment(): PostgresVersion {
  const version = Deno.env.get("PG_VERSION") || "18";
  if (isPostgresVersion(version)) return version;
  const known = Object.keys(POSTGRES_VERSIONS).join(", ");
  throw new RangeError(
    `Cannot start PostgreSQL: "PG_VERSION" must be one of ${known}, received ${version}`,
  );
}

/** The main process ended before it was ready; what it logged says why. */
class NotStartedError extends Error {}

class EmbeddedServer implements PostgresServer {
  readonly host = HOST;
  readonly dataDirectory: string;
  readonly #folder: GuardedFolder;
  readonly #owner: Unprivileged;
  #port = 0;
  #pid = 0;
  #exited: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(folder: GuardedFolder, owner: Unprivileged) {
    this.#folder = folder;
    this.#owner = owner;
    this.dataDirectory = `${folder.path}/data`;
  }

  get url(): string {
    return `postgres://postgres@${HOST}:${this.#port}/postgres`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#pid;
  }

  get exited(): Promise<void> {
    return this.#exited;
  }

  async initialise(native: string, settings: Record<string, string>): Promise<void> {
    const path = this.#folder.path;
    await linkPostgres(native, path);
    if (this.#owner.uid !== undefined) {
      await Deno.chown(path, this.#owner.uid, this.#owner.gid ?? null);
    }
    const initdb = await this.#spawn("initdb", [
      `--pgdata=${this.dataDirectory}`,
      "--username=postgres",
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
    ]);
    const { success } = await initdb.status;
    await this.#folder.forget();
    if (!success) throw new NotStartedError(`Cannot start PostgreSQL: ${await this.#log()}`);
    const lines = Object.entries(settings).map(([name, value]) =>
      `${name} = '${value.replaceAll("'", "''")}'\n`
    );
    await Deno.writeTextFile(`${this.dataDirectory}/postgresql.conf`, lines.join(""), {
      append: true,
    });
  }

  async startOnFreePort(): Promise<void> {
    // Another process may take the port between our look and the server's bind.
    for (let attempt = 1;; attempt++) {
      this.#port = freePort();
      try {
        return await this.#start();
      } catch (error) {
        if (attempt === PORT_ATTEMPTS || !(error instanceof NotStartedError)) throw error;
      }
    }
  }

  signal(signal: Deno.Signal): void {
    Deno.kill(this.#pid, signal);
  }

  async restart(): Promise<void> {
    if (this.#pid !== 0) {
      this.signal("SIGINT");
      this.signal("SIGCONT");
      await this.#exited;
    }
    // After a crash the old backends hold on to the shared memory until they notice.
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      try {
        return await this.#start();
      } catch (error) {
        if (Date.now() > deadline || !(error instanceof NotStartedError)) throw error;
        await delay(50);
      }
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await this.#folder.end();
    await this.#exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #start(): Promise<void> {
    const child = await this.#spawn("postgres", [
      "-D",
      this.dataDirectory,
      "-c",
      `listen_addresses=${HOST}`,
      "-c",
      `port=${this.#port}`,
      "-c",
      "unix_socket_directories=",
    ]);
    const { pid } = child;
    this.#pid = pid;
    let running = true;
    this.#exited = child.status.then(async () => {
      running = false;
      this.#pid = 0;
      await this.#folder.forget();
    });
    const deadline = Date.now() + READY_WITHIN_MS;
    while (!await this.#isReady(pid)) {
      if (!running) {
        await this.#exited;
        throw new NotStartedError(`Cannot start PostgreSQL: ${await this.#log()}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`Cannot start PostgreSQL: not ready in time: ${await this.#log()}`);
      }
      await delay(10);
    }
  }

  /** The server writes its pid into the first line of its lock file and its status into the last. */
  async #isReady(pid: number): Promise<boolean> {
    try {
      const lines = (await Deno.readTextFile(`${this.dataDirectory}/postmaster.pid`)).split("\n");
      return lines[0] === String(pid) && lines[7]?.trim() === "ready";
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Runs a program of the server with its output in the folder's log. */
  #spawn(program: string, args: string[]): Promise<Deno.ChildProcess> {
    const path = this.#folder.path;
    return this.#folder.spawn("sh", {
      args: ["-c", 'exec "$@" >"$0" 2>&1', `${path}/log`, `${path}/bin/${program}`, ...args],
      ...this.#owner,
      cwd: "/",
      env: { LC_ALL: "C", TZ: "UTC" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
  }

  async #log(): Promise<string> {
    try {
      return (await Deno.readTextFile(`${this.#folder.path}/log`)).trim().slice(-2000);
    } catch {
      return "it left no log";
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
