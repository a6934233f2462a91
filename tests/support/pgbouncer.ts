/**
 * A PgBouncer of the tests' own, in transaction mode: every transaction may run on another server
 * connection, so nothing that a session keeps, such as a prepared statement, can be relied on.
 *
 * @module
 */

import { databaseUrl, urlOf } from "./database.ts";
import { GuardedFolder } from "./guarded_folder.ts";
import { unprivileged } from "./unprivileged.ts";

const HOST = "127.0.0.1";
const PORT_ATTEMPTS = 5;

/** How long the pooler leaves a server alone at which it could not log in. Its default is 15 s. */
export const LOGIN_RETRY_MS = 1000;

/** A running pooler. It ends with the process that started it. */
export interface PgBouncer extends AsyncDisposable {
  /** The connection string of a database through the pooler. */
  urlOf(database: string): string;
}

/** Where PgBouncer is, `undefined` where it is not installed. Debian keeps it off a user's path. */
async function findPgBouncer(): Promise<string | undefined> {
  for (const command of ["pgbouncer", "/usr/sbin/pgbouncer"]) {
    try {
      const { success } = await new Deno.Command(command, {
        args: ["--version"],
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return command;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

const found = await findPgBouncer();

/** A test that needs PgBouncer, and gets its command. Without PgBouncer it is ignored, and says so. */
export function pooledTest(
  name: string,
  fn: (t: Deno.TestContext, pgBouncer: string) => Promise<void>,
): void {
  const ignore = found === undefined;
  Deno.test({
    name: ignore ? `${name} (ignored: there is no pgbouncer)` : name,
    ignore,
    fn: (t) => fn(t, found!),
  });
}

/**
 * Starts a pooler.
 *
 * @param command PgBouncer, as {@linkcode pooledTest} found it.
 * @param poolSize How many server connections all clients of a database share.
 * @param server The connection string of the server; by default what `DATABASE_URL` names.
 */
export async function startPgBouncer(
  command: string,
  poolSize: number,
  server: string = databaseUrl(),
): Promise<PgBouncer> {
  const folder = await GuardedFolder.create();
  try {
    // Another process may take the port between our look and the pooler's bind.
    for (let attempt = 1;; attempt++) {
      const port = freePort();
      const failure = await start(folder, command, settingsOf(new URL(server), port, poolSize));
      if (failure === undefined) {
        return {
          urlOf: (database: string) => urlOf(`postgres://anybody@${HOST}:${port}`, database),
          [Symbol.asyncDispose]: () => folder.end(),
        };
      }
      if (attempt === PORT_ATTEMPTS) throw new Error(`Cannot start PgBouncer: ${failure}`);
    }
  } catch (error) {
    await folder.end();
    throw error;
  }
}

/** Resolves when the pooler listens; to what it said where it ended instead. */
async function start(
  folder: GuardedFolder,
  command: string,
  settings: string,
): Promise<string | undefined> {
  const owner = await unprivileged();
  const file = `${folder.path}/pgbouncer.ini`;
  await Deno.writeTextFile(file, settings);
  if (owner.uid !== undefined) {
    for (const path of [folder.path, file]) {
      await Deno.chown(path, owner.uid, owner.gid ?? null);
    }
  }
  const child = await folder.spawn(command, {
    args: [file],
    ...owner,
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const log = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("process up")) {
    const { value, done } = await log.read();
    if (done) {
      await child.status;
      await folder.forget();
      return text;
    }
    text += value;
  }
  void drain(log);
  return undefined;
}

async function drain(log: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await log.read()).done);
}

function settingsOf(server: URL, port: number, poolSize: number): string {
  const parts = {
    host: server.hostname,
    port: server.port || "5432",
    user: decodeURIComponent(server.username),
    password: decodeURIComponent(server.password),
  };
  const connection = Object.entries(parts)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}='${value.replaceAll("'", "''")}'`);
  return `[databases]
* = ${connection.join(" ")}

[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 500
server_login_retry = ${LOGIN_RETRY_MS / 1000}
log_connections = 0
log_disconnections = 0
`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}
