/**
 * A streaming standby of a throw-away server.
 *
 * @module
 */

import { connect } from "../support/database.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";
import { fetchPostgres, isPostgresVersion, linkPostgres } from "../support/postgres_binaries.ts";
import type { PostgresServer } from "../support/postgres_server.ts";
import { type Unprivileged, unprivileged } from "../support/unprivileged.ts";

const HOST = "127.0.0.1";
const NAME = "standby";
const READY_WITHIN_MS = 30_000;
const PORT_ATTEMPTS = 5;

/** A running standby; disposal ends it and removes its files. */
export interface Standby extends AsyncDisposable {
  /** The superuser's connection string, database `postgres`. */
  readonly url: string;
  /** Makes it the primary, and resolves when it takes writes. */
  promote(): Promise<void>;
}

/**
 * Starts a standby that follows a server, and makes the server's commits wait for it. The server is
 * stopped for a moment, since what is copied must not change meanwhile.
 */
export async function startStandby(primary: PostgresServer): Promise<Standby> {
  const folder = await GuardedFolder.create("QUIT");
  try {
    const owner = await unprivileged();
    const version = (await Deno.readTextFile(`${primary.dataDirectory}/PG_VERSION`)).trim();
    if (!isPostgresVersion(version)) throw new Error(`Cannot start standby: of ${version}`);
    await linkPostgres(await fetchPostgres(version), folder.path);
    await copyData(primary, folder, owner);
    const port = await startOnFreePort(folder, owner);
    const url = `postgres://postgres@${HOST}:${port}/postgres`;
    await waitForStandby(primary);
    return {
      url,
      promote: () => promote(url),
      [Symbol.asyncDispose]: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
}

async function copyData(
  primary: PostgresServer,
  folder: GuardedFolder,
  owner: Unprivileged,
): Promise<void> {
  const data = `${folder.path}/data`;
  const { exited } = primary;
  primary.signal("SIGINT");
  await exited;
  await run("cp", "-R", primary.dataDirectory, data);
  await primary.restart();
  const source = `host=${primary.host} port=${primary.port} user=postgres application_name=${NAME}`;
  await Deno.writeTextFile(`${data}/postgresql.conf`, `primary_conninfo = '${source}'\n`, {
    append: true,
  });
  await Deno.writeTextFile(`${data}/standby.signal`, "");
  await run("chmod", "-R", "go-rwx", data);
  if (owner.uid !== undefined) await run("chown", "-R", `${owner.uid}:${owner.gid}`, folder.path);
}

/** Another process may take the port between the look and the server's bind. */
async function startOnFreePort(folder: GuardedFolder, owner: Unprivileged): Promise<number> {
  for (let attempt = 1;; attempt++) {
    const port = freePort();
    try {
      await start(folder, owner, port);
      return port;
    } catch (error) {
      const isTaken = String(error).includes("Address already in use");
      if (!isTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function start(folder: GuardedFolder, owner: Unprivileged, port: number): Promise<void> {
  const { path } = folder;
  const child = await folder.spawn("sh", {
    args: [
      "-c",
      'exec "$@" >"$0" 2>&1',
      `${path}/log`,
      `${path}/bin/postgres`,
      "-D",
      `${path}/data`,
      "-c",
      `listen_addresses=${HOST}`,
      "-c",
      `port=${port}`,
      "-c",
      "unix_socket_directories=",
    ],
    ...owner,
    cwd: "/",
    env: { LC_ALL: "C", TZ: "UTC" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  let isRunning = true;
  const ended = child.status.then(() => {
    isRunning = false;
    return folder.forget();
  });
  const deadline = Date.now() + READY_WITHIN_MS;
  // The last line of the lock file says what connections are taken for.
  while (!(await readIfThere(`${path}/data/postmaster.pid`)).includes("\nready")) {
    if (isRunning && Date.now() < deadline) {
      await delay(10);
      continue;
    }
    if (!isRunning) await ended;
    throw new Error(`Cannot start standby: ${(await readIfThere(`${path}/log`)).slice(-2000)}`);
  }
}

/** From the return on, a commit that the primary acknowledged is on the standby as well. */
async function waitForStandby(primary: PostgresServer): Promise<void> {
  await using sql = connect(primary.url);
  await sql.unsafe(`alter system set synchronous_standby_names = '${NAME}'`);
  await sql`select pg_reload_conf()`;
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const rows = await sql`
      select from pg_stat_replication where state = 'streaming' and sync_state = 'sync'`;
    if (rows.length > 0) return;
    if (Date.now() > deadline) throw new Error("Cannot start standby: it does not stream");
    await delay(10);
  }
}

async function promote(url: string): Promise<void> {
  await using sql = connect(url);
  const [row] = await sql<{ promoted: boolean }[]>`select pg_promote() as promoted`;
  if (!row!.promoted) throw new Error("Cannot promote the standby: it took too long");
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`Cannot run ${command}: ${new TextDecoder().decode(stderr)}`);
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
