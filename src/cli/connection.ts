/** How the CLI reaches the database: with the driver that the project has. */

import { type BunSqlLike, fromBunSql } from "../adapters/bun_sql.ts";
import { fromNodePostgres, type NodePostgresLike } from "../adapters/node_postgres.ts";
import { fromPostgresJs, type PostgresJsLike } from "../adapters/postgres_js.ts";
import { describe } from "../describe.ts";
import type { PostgresClient } from "../types.ts";
import { requireFrom } from "./node.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage_error.ts";

/** What Deno loads where the project has no driver: the version that the adapter's docs recommend. */
export const DENO_DRIVER = "npm:postgres@3.4.7";

/** Variables of the environment by which drivers find a database. */
const PG_VARIABLES: readonly string[] = ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"];

/** Connections of one command, beside one for notifications. */
const MAX_CONNECTIONS = 2;

/** How long connections may take to end before the command goes without them. */
const END_WITHIN_MS = 1000;

const APPLICATION_NAME = "circuit-breaker cli";

/** How a command connects. */
export interface ConnectionSettings {
  /** The connection string; `undefined` leaves it to the driver and the PG* variables. */
  readonly url: string | undefined;
  readonly driver: DriverName | undefined;
  readonly timeoutMs: number;
  /** Where drivers are looked for beside the project: the address of this program's own module. */
  readonly home: string | undefined;
}

/** The drivers that an operator can name. */
export const DRIVER_NAMES = ["postgres", "pg"] as const;

/** One of them. */
export type DriverName = typeof DRIVER_NAMES[number];

/** An open database. */
export interface Connection {
  /** Prepares nothing, so that it works behind every pooler. */
  readonly client: PostgresClient;
  /** The same with `listen`. */
  readonly listeningClient: PostgresClient;
  /** Ends all connections, within a second. */
  close(): Promise<void>;
}

/** The connection string of the command line or the environment. */
export function urlOf(given: string | undefined, env: Terminal["env"]): string | undefined {
  return given ?? (env.DATABASE_URL || undefined);
}

/** Whether a command line or an environment names a database. */
export function namesDatabase(url: string | undefined, env: Terminal["env"]): boolean {
  return url !== undefined || PG_VARIABLES.some((name) => env[name]);
}

/**
 * Opens the database. It sends nothing yet.
 *
 * @throws {UsageError} If no database or no driver is to be found. No message has a part of the string.
 */
export async function openConnection(
  settings: ConnectionSettings,
  terminal: Terminal,
): Promise<Connection> {
  const { url } = settings;
  if (!namesDatabase(url, terminal.env)) {
    throw new UsageError(
      "Cannot connect: no database is named, set DATABASE_URL or the variables PGHOST, PGDATABASE and " +
        "PGUSER, or pass --url",
    );
  }
  if (url !== undefined) assertUrl(url);
  const { name, module } = await loadDriver(settings, terminal);
  try {
    return OPENERS[name]!(module, settings);
  } catch {
    // What the driver says can hold the connection string.
    throw new UsageError(
      `Cannot connect: the driver "${name}" refuses the connection string or the PG* variables`,
    );
  }
}

function assertUrl(url: string): void {
  // A URL has one host; drivers take several, with commas between them.
  const withOneHost = url.replace(/(?<=^[^/]*\/\/[^/?#]*),[^/?#]*/, "");
  if (/^postgres(ql)?:\/\//i.test(url) && URL.canParse(withOneHost)) return;
  throw new UsageError(
    "Cannot connect: the connection string must have the form postgres://user:password@host:5432/database, " +
      `with special characters percent-encoded, received ${describe(url)}`,
  );
}

/** How each runtime installs a driver. */
const INSTALL: Readonly<Record<string, string>> = {
  node: "npm install ",
  deno: "deno add npm:",
  bun: "bun add ",
};

type DriverModule = { name: string; module: unknown };

async function loadDriver(
  { driver, home }: ConnectionSettings,
  { folder, runtime }: Terminal,
): Promise<DriverModule> {
  const places = [`${folder}/package.json`, ...home?.startsWith("file:") ? [home] : []];
  const wanted = driver === undefined ? DRIVER_NAMES : [driver];
  for (const place of places) {
    for (const name of wanted) {
      const module = installed(place, name);
      if (module !== undefined) return { name, module };
    }
  }
  if (runtime === "deno" && driver !== "pg") {
    try {
      return { name: "postgres", module: await import(DENO_DRIVER) };
    } catch {
      // No registry can be reached, or this program is an npm package itself, which can import none.
    }
  }
  if (runtime === "bun" && driver === undefined) return { name: "bun", module: undefined };
  throw new UsageError(
    `Cannot connect: the driver ${
      wanted.map((name) => `"${name}"`).join(" or ")
    } is not installed in ` +
      `this folder, run ${INSTALL[runtime] ?? INSTALL.node}${wanted[0]}`,
  );
}

/** A package of the project, or `undefined` where it has none of this name. */
function installed(place: string, name: string): unknown {
  try {
    return requireFrom(place, name);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "MODULE_NOT_FOUND" || code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw new UsageError(
      `Cannot connect: the driver "${name}" that is installed in this folder does not load`,
    );
  }
}

const OPENERS: Readonly<
  Record<string, (module: unknown, settings: ConnectionSettings) => Connection>
> = {
  postgres(module, { url, timeoutMs }) {
    const options = {
      max: MAX_CONNECTIONS,
      fetch_types: false,
      onnotice: () => {},
      connect_timeout: Math.max(1, Math.ceil(timeoutMs / 1000)),
      connection: { application_name: APPLICATION_NAME },
    };
    const postgres = defaultOf(module) as (...args: unknown[]) => PostgresJsLike & {
      end(options: { timeout: number }): Promise<void>;
    };
    const sql = url === undefined ? postgres(options) : postgres(url, options);
    return {
      client: fromPostgresJs(sql, { prepare: false }),
      listeningClient: listening(fromPostgresJs(sql, { prepare: false }), fromPostgresJs(sql)),
      close: () => waitForEnd(sql.end({ timeout: END_WITHIN_MS / 1000 })),
    };
  },
  pg(module, { url, timeoutMs }) {
    const { Pool } = defaultOf(module) as {
      Pool: new (config: object) => NodePostgresLike & {
        on(event: "error", listener: () => void): unknown;
        end(): Promise<void>;
      };
    };
    const pool = new Pool({
      ...url !== undefined && { connectionString: url },
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: timeoutMs,
      application_name: APPLICATION_NAME,
    });
    // Without a listener, a lost connection ends the process. The next statement reports it.
    pool.on("error", () => {});
    return {
      client: fromNodePostgres(pool, { prepare: false }),
      listeningClient: listening(
        fromNodePostgres(pool, { prepare: false }),
        fromNodePostgres(pool),
      ),
      close: () => waitForEnd(pool.end()),
    };
  },
  bun(_module, { url, timeoutMs }) {
    // dnt-shim-ignore
    const { Bun } = globalThis as unknown as {
      Bun: { SQL: new (options: object) => BunSqlLike & { close(): Promise<void> } };
    };
    const sql = new Bun.SQL({
      ...url !== undefined && { url },
      max: MAX_CONNECTIONS,
      connectionTimeout: Math.max(1, Math.ceil(timeoutMs / 1000)),
    });
    const client = fromBunSql(sql);
    return {
      client,
      listeningClient: client,
      close: () => waitForEnd(sql.close()),
    };
  },
};

function defaultOf(module: unknown): unknown {
  return (module as { default?: unknown }).default ?? module;
}

/** A client that sends statements as one, and listens as the other. */
function listening(client: PostgresClient, other: PostgresClient): PostgresClient {
  const { listen } = other;
  return listen === undefined ? client : {
    query: (text, params) => client.query(text, params),
    listen: (channel, onNotification) => listen.call(other, channel, onNotification),
  };
}

/** Waits for an end that a hung connection may never reach, for a second at most. */
export async function waitForEnd(ended: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, END_WITHIN_MS));
  await Promise.race([ended.catch(() => {}), late]);
  clearTimeout(timer);
}
