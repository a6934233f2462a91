import { GuardedFolder } from "../../tests/support/guarded_folder.ts";

/** A Redis server that ends, and whose files vanish, with the process that started it. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly version: string;
}

const HOST = "127.0.0.1";
const READY_WITHIN_MS = 10_000;
const PORT_ATTEMPTS = 5;

/** Starts a Redis that keeps nothing on disk, or returns nothing where none is installed. */
export async function startRedis(): Promise<RedisServer | undefined> {
  const version = await installedVersion();
  if (version === undefined) return undefined;
  // Another process may take the port between our look and the server's bind.
  for (let attempt = 1;; attempt++) {
    const server = await startOn(freePort(), version);
    if (server !== undefined) return server;
    if (attempt === PORT_ATTEMPTS) throw new Error("Cannot start Redis: it ended at once");
  }
}

async function installedVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("redis-server", { args: ["--version"] }).output();
    return /v=(\S+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Returns nothing if the server ended instead of becoming ready. */
async function startOn(port: number, version: string): Promise<RedisServer | undefined> {
  const folder = await GuardedFolder.create();
  const settings = { bind: HOST, port, save: "", appendonly: "no", dir: folder.path };
  const child = await folder.spawn("redis-server", {
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  let running = true;
  const exited = child.status.then(async () => {
    running = false;
    await folder.forget();
  });
  const end = async () => {
    await folder.end();
    await exited;
  };
  const deadline = Date.now() + READY_WITHIN_MS;
  while (running && Date.now() < deadline) {
    if (await answers(port)) {
      return {
        url: `redis://${HOST}:${port}`,
        pid: child.pid,
        version,
        [Symbol.asyncDispose]: end,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await end();
  return undefined;
}

async function answers(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: HOST, port });
    await connection.write(new TextEncoder().encode("PING\r\n"));
    const reply = new Uint8Array(16);
    const length = await connection.read(reply);
    return new TextDecoder().decode(reply.subarray(0, length ?? 0)).startsWith("+PONG");
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}
