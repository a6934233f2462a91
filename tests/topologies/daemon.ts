/**
 * Programs that run until they are ended, each in a guarded folder of its own.
 *
 * @module
 */

import { GuardedFolder } from "../support/guarded_folder.ts";
import { unprivileged } from "../support/unprivileged.ts";

/** The only address that anything here listens on. */
export const HOST = "127.0.0.1";

/** A program that runs. Disposal ends it, what it started, and removes its files. */
export class Daemon implements AsyncDisposable {
  readonly #folder: GuardedFolder;
  #exited: Promise<void> = Promise.resolve();

  private constructor(folder: GuardedFolder) {
    this.#folder = folder;
  }

  /** Makes its folder, which belongs to a user without rights: PostgreSQL refuses root. */
  static async create(): Promise<Daemon> {
    const daemon = new Daemon(await GuardedFolder.create("QUIT", "all"));
    await daemon.#give(daemon.path);
    return daemon;
  }

  /** Its folder. */
  get path(): string {
    return this.#folder.path;
  }

  /** Writes a file in its folder. */
  async write(name: string, text: string): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.writeTextFile(path, text);
    await this.#give(path);
    return path;
  }

  /** Starts the program, which works in its folder: that is how all of its processes are found. */
  async start(program: string, args: string[]): Promise<void> {
    const child = await this.#folder.spawn("sh", {
      args: ["-c", 'exec "$@" >>"$0" 2>&1', `${this.path}/log`, program, ...args],
      ...await unprivileged(),
      cwd: this.path,
      clearEnv: true,
      env: { HOME: this.path, LC_ALL: "C", PATH: "/usr/local/bin:/usr/bin:/bin", TZ: "UTC" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    this.#exited = child.status.then(() => this.#folder.forget());
  }

  /** Kills all of its processes at once, as the end of a machine does. */
  async kill(): Promise<void> {
    for (;;) {
      const pids = await this.#pids();
      if (pids.length === 0) break;
      for (const pid of pids) kill(pid, "SIGKILL");
    }
    await this.#exited;
  }

  /** Has all of its processes stand still, as a machine that is suspended. */
  async freeze(): Promise<void> {
    for (const pid of await this.#pids()) kill(pid, "SIGSTOP");
  }

  /** Its processes, also those that it started and that left its group. */
  async #pids(): Promise<number[]> {
    const pids: number[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const folder = await Deno.readLink(`/proc/${name}/cwd`).catch(() => "");
      if (folder === this.path || folder.startsWith(`${this.path}/`)) pids.push(Number(name));
    }
    return pids;
  }

  /** The end of what it said. */
  async log(): Promise<string> {
    return (await Deno.readTextFile(`${this.path}/log`).catch(() => "it left no log")).slice(-3000);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder.end();
  }

  async #give(path: string): Promise<void> {
    const { uid, gid } = await unprivileged();
    if (uid !== undefined) await Deno.chown(path, uid, gid ?? null);
  }
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It ended at this moment.
  }
}

const taken = new Set<number>();

/** A port that nothing listens on, and that was not returned before. */
export function freePort(): number {
  for (;;) {
    using listener = Deno.listen({ hostname: HOST, port: 0 });
    const { port } = listener.addr;
    if (taken.has(port)) continue;
    taken.add(port);
    return port;
  }
}
