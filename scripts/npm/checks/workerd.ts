/**
 * Runs a Worker that has the installed package, in workerd with a Hyperdrive of miniflare.
 *
 * @module
 */

import { GuardedFolder } from "../../../tests/support/guarded_folder.ts";
import type { Seen, StoreAnswer } from "../../../tests/npm/workers/messages.ts";
import { toScript } from "../transplant.ts";

const STARTS_WITHIN_MS = 60_000;

/**
 * What a program begins with that runs a worker: `bundle` makes one module of it, as wrangler does. Miniflare's
 * Hyperdrive does not listen for the errors of its sockets: a lost one would end the program.
 */
export const HOST_BEGIN = `
import { build } from "esbuild";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";

let isReady = false;
process.on("uncaughtException", (error) => {
  if (!isReady) throw error;
});
const bundle = (entryPoint, outfile) => build({
  entryPoints: [entryPoint],
  bundle: true,
  format: "esm",
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: ["workerd"],
  external: ["cloudflare:*", "node:*"],
  plugins: [{
    name: "worker",
    setup(build) {
      build.onResolve({ filter: /^file:/ }, ({ path }) => ({ path: fileURLToPath(path) }));
      build.onResolve({ filter: /./ }, ({ path }) =>
        builtinModules.includes(path) ? { path: "node:" + path, external: true } : undefined);
    },
  }],
  // pg requires modules of Node.
  banner: {
    js: 'import { createRequire } from "node:module"; const require = createRequire("file:///worker");',
  },
  outfile,
  logLevel: "warning",
});
const common = {
  host: "127.0.0.1",
  port: 0,
  modules: true,
  compatibilityDate: "2026-02-01",
  compatibilityFlags: ["nodejs_compat"],
};
`;

/** Runs the worker until its standard input ends. */
const HOST = `${HOST_BEGIN}
const { worker, hyperdrive, upstream } = JSON.parse(process.argv[2]);
const scriptPath = "bundle/worker.mjs";
await bundle(worker, scriptPath);
const miniflare = new Miniflare({
  ...common,
  scriptPath,
  bindings: { UPSTREAM: upstream },
  hyperdrives: { HYPERDRIVE: hyperdrive },
});
console.log("ready " + (await miniflare.ready).href);
isReady = true;
process.stdin.resume();
await new Promise((resolve) => process.stdin.on("end", resolve));
await miniflare.dispose();
`;

/** The runtime of a worker's module, with the gateway that is bundled into it. */
function runtimeSource(gatewayPath: string): string {
  return `export { env, waitUntil } from "cloudflare:workers";
export const loadStoma = () => import(${JSON.stringify(gatewayPath)});
`;
}

/** What a worker is started with. */
export interface WorkerOptions {
  /** A project that has the worker's modules, the package and its development tools. */
  readonly project: string;
  /** The worker's module, relative to the project, as a TypeScript path of this repository. */
  readonly worker: string;
  /** The bundle of the gateway. */
  readonly gatewayPath: string;
  /** The connection string behind Hyperdrive. It needs a password, also where none is asked for. */
  readonly hyperdrive: string;
  readonly upstream: string;
}

/** A worker that runs. Disposal ends it. */
export class Workerd implements AsyncDisposable {
  readonly #folder: GuardedFolder;
  readonly #url: string;

  private constructor(folder: GuardedFolder, url: string) {
    this.#folder = folder;
    this.#url = url;
  }

  /** Bundles and starts a worker. */
  static async start(options: WorkerOptions): Promise<Workerd> {
    const { project, worker, gatewayPath, hyperdrive, upstream } = options;
    const script = toScript(`${project}/${worker}`);
    const runtime = script.replace(/[^/]+$/, "runtime.mjs");
    await Deno.writeTextFile(runtime, runtimeSource(gatewayPath));
    await Deno.writeTextFile(`${project}/host.mjs`, HOST);
    const folder = await GuardedFolder.create();
    try {
      const child = await folder.spawn("node", {
        args: ["host.mjs", JSON.stringify({ worker: script, hyperdrive, upstream })],
        cwd: project,
        env: { NO_COLOR: "1" },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      });
      return new Workerd(folder, await readyAt(child));
    } catch (error) {
      await folder.end();
      throw error;
    }
  }

  /** Calls a method of one of the worker's stores. */
  async call(store: string, method: string, ...args: unknown[]): Promise<StoreAnswer> {
    return await this.#post("/call", { store, method, args });
  }

  /** Calls a method, and leaves when some time has passed. */
  async leave(ms: number, store: string, method: string, ...args: unknown[]): Promise<void> {
    const signal = AbortSignal.timeout(ms);
    await this.#post("/call", { store, method, args }, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  /** What happened in the worker. */
  async seen(): Promise<Seen> {
    return await this.#post("/seen", {});
  }

  /** Sends a request through the gateway. */
  async request(path: string): Promise<number> {
    const response = await fetch(new URL(path, this.#url));
    await response.body?.cancel();
    return response.status;
  }

  async #post<Answer>(path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
    const response = await fetch(new URL(path, this.#url), {
      method: "POST",
      body: JSON.stringify(body),
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The worker failed, received ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** Ends the worker. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder.end();
  }
}

/** Waits for the address. Reads on after it, so that no pipe fills: workerd reports clients that leave. */
async function readyAt({ stdout, stderr }: Deno.ChildProcess): Promise<string> {
  const found = Promise.withResolvers<string>();
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoded = stream.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    );
    for await (const chunk of decoded) {
      text = (text + chunk).slice(-10_000);
      const url = /^ready (\S+)$/m.exec(text)?.[1];
      if (url !== undefined) found.resolve(url);
    }
  };
  const fail = () => found.reject(new Error(`workerd did not start, received ${text.trim()}`));
  const late = setTimeout(fail, STARTS_WITHIN_MS);
  Promise.all([read(stdout), read(stderr)]).then(fail, fail);
  try {
    return await found.promise;
  } finally {
    clearTimeout(late);
  }
}
