/**
 * What a new user does: install the package into an empty folder, copy a block of the README into a file,
 * and run it. The blocks are taken from the README as they stand.
 *
 * @module
 */

import { type CodeBlock, codeBlocks } from "../../../tests/documents/code_blocks.ts";
import { startUpstream, type Upstream } from "../../../tests/npm/upstream.ts";
import { createDatabase } from "../../../tests/support/database.ts";
import { GuardedFolder } from "../../../tests/support/guarded_folder.ts";
import { PACKAGE as STOMA_PACKAGE, type StomaBundle } from "../../../tests/support/stoma_bundle.ts";
import { until } from "../../../tests/support/until.ts";
import { ROOT } from "../../workspace.ts";
import type { Manifest } from "../manifest.ts";
import { npm } from "./program_queue.ts";
import type { Ground } from "./projects.ts";
import { repairStoma, STOMA } from "./repair_stoma.ts";
import { ensure, type Result, resultOf } from "./report.ts";
import type { Runtime } from "./runtimes.ts";

const STARTS_WITHIN_MS = 30_000;
const OPENS_WITHIN_MS = 30_000;
/** As many failures open a circuit: the default of `minimumThroughput`. */
const FAILURES = 20;

/** A file of a quick start in a folder where its packages are installed. */
interface Scene {
  readonly ground: Ground;
  readonly folder: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly upstream: Upstream;
}

/** What each block of the README has to do, by the end of its heading. */
const CHECKS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  async "CircuitBreaker"({ ground, folder, command, env, upstream }) {
    const run = async () => (await ground.queue.runOk(command, folder, env)).trim().split("\n");
    const isRefused = (line: string) => line.includes("the circuit is open");
    const first = await run();
    const expected = Array.from({ length: FAILURES }, (_, i) => `${i + 1} 500`);
    ensure(`${first.slice(0, FAILURES)}` === `${expected}`, `received ${first}`);
    ensure(first.length === 25 && first.slice(FAILURES).every(isRefused), `received ${first}`);
    const second = await run();
    ensure(second.length === 25 && second.every(isRefused), `a second process: ${second}`);
    ensure(upstream.received === FAILURES, `the upstream received ${upstream.received} calls`);
  },

  async "Stoma"(scene) {
    await using servers = await startTwo(scene);
    const statuses = await failUntilOpen(servers);
    const expected = [...Array.from({ length: FAILURES }, () => 500), 503];
    ensure(`${statuses}` === `${expected}`, `received ${statuses}`);
    ensure(scene.upstream.received === FAILURES, `received ${scene.upstream.received} calls`);
  },

  async "with cache and check()"(scene) {
    await using servers = await startTwo(scene);
    await failUntilOpen(servers);
    await until(async () => {
      const { first, second } = servers;
      return await first() === 503 && await second() === 503;
    }, OPENS_WITHIN_MS);
    const { received } = scene.upstream;
    ensure(await servers.first() === 503 && await servers.second() === 503, "it closed by itself");
    ensure(scene.upstream.received === received, "an open circuit let calls through");
  },

  async "Recommended for production"({ ground, folder, command, env }) {
    const main = `import { breaker, store } from "./main.mjs";
console.log(await breaker.execute("payments", () => "paid"));
await store.close();
process.exit();
`;
    await Deno.writeTextFile(`${folder}/other.mjs`, main);
    const other = [...command.slice(0, -1), "other.mjs"];
    const printed = await ground.queue.runOk(other, folder, env);
    ensure(printed.trim() === "paid", `received ${printed}`);
  },
};

/** The blocks of the README that are copied into files. */
export async function quickStarts(): Promise<CodeBlock[]> {
  return codeBlocks("README.md", await readReadme()).filter(({ info }) => info === "ts ignore");
}

function readReadme(): Promise<string> {
  return Deno.readTextFile(new URL("README.md", ROOT));
}

/** Runs every quick start of the README on every runtime. */
export async function checkQuickStarts(
  ground: Ground,
  runtimes: readonly Runtime[],
  stoma: StomaBundle,
): Promise<void> {
  const [readme, blocks] = [await readReadme(), await quickStarts()];
  const names = blocks.map(({ heading }) => heading.replace(/^Quick start: /, ""));
  ensure(`${names}` === `${Object.keys(CHECKS)}`, `the README has the quick starts ${names}`);
  const folders = new Map<string, string>();
  for (const runtime of runtimes) {
    await ground.report.group(`${runtime.name}, the README in an empty folder`, async () => {
      const results: Result[] = [];
      for (const [index, { text }] of blocks.entries()) {
        const name = names[index]!;
        results.push(
          await resultOf(name, async () => {
            await using database = await createDatabase(ground.database);
            const upstream = await startUpstream();
            upstream.status = 500;
            try {
              const command = installation(ground.manifest, ground.tarball, runtime, name, readme);
              const folder = folders.get(`${command}`) ?? await newFolder(ground, command);
              folders.set(`${command}`, folder);
              if (name === "Stoma") await repairStoma(folder, stoma.gatewayPath);
              await Deno.writeTextFile(`${folder}/main.mjs`, text);
              await CHECKS[name]!({
                ground,
                folder,
                command: [...runtime.command, "main.mjs"],
                env: { DATABASE_URL: database.url, UPSTREAM_URL: upstream.url },
                upstream,
              });
            } finally {
              await upstream.close();
            }
          }),
        );
      }
      return results;
    });
  }
}

/**
 * How to install what the README says, with the versions that the tests use, and the package from its
 * tarball. Deno installs no tarball, so npm does it there.
 */
function installation(
  manifest: Manifest,
  tarball: string,
  { name: runtime, command }: Runtime,
  quickStart: string,
  readme: string,
): string[] {
  const isBun = runtime.startsWith("Bun");
  const line = new RegExp(`^${isBun ? "bun add" : "npm install"} (.+)$`, "m").exec(readme)?.[1];
  const more = quickStart === "Stoma" ? /^Install (`.+`) as well\.$/m.exec(readme)?.[1] : "";
  ensure(line !== undefined && more !== undefined, "the README does not say what to install");
  const wanted = [...line.split(" "), ...[...more.matchAll(/`(.+?)`/g)].map(([, each]) => each!)];
  return [
    ...isBun
      ? [...command.slice(0, -1), "add"]
      : npm("install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"),
    ...wanted.map((each) => each === manifest.name ? tarball : pinned(manifest, each)),
  ];
}

async function newFolder({ queue }: Ground, command: readonly string[]): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: queue.path, prefix: "user_" });
  await queue.runOk(command, folder);
  return folder;
}

function pinned({ imports }: Manifest, name: string): string {
  const specifier = name === STOMA ? STOMA_PACKAGE : imports[name];
  ensure(specifier !== undefined, `no version is pinned of ${name}`);
  return specifier.replace(/^npm:/, "");
}

/** Two servers on one database. Each function asks one of them, and returns the status. */
interface Servers extends AsyncDisposable {
  readonly first: () => Promise<number>;
  readonly second: () => Promise<number>;
}

async function startTwo(scene: Scene): Promise<Servers> {
  await using stack = new AsyncDisposableStack();
  const [first, second] = [await startServer(scene, stack), await startServer(scene, stack)];
  const moved = stack.move();
  return { first, second, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** Starts a server on a free port, and waits until it says that it listens. */
async function startServer(
  { folder, command: [program, ...args], env }: Scene,
  stack: AsyncDisposableStack,
): Promise<() => Promise<number>> {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const guarded = await GuardedFolder.create();
  stack.defer(() => guarded.end());
  const { stdout, stderr } = await guarded.spawn(program!, {
    args,
    cwd: folder,
    env: { NO_COLOR: "1", PORT: `${port}`, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const listening = Promise.withResolvers<void>();
  let printed = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const texts = stream.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    );
    for await (const text of texts) {
      printed += text;
      if (printed.includes("Listening")) listening.resolve();
    }
  };
  const fail = () => listening.reject(new Error(`the server does not listen: ${printed}`));
  const drained = Promise.all([read(stdout), read(stderr)]).then(fail, fail);
  stack.defer(async () => {
    await guarded.end();
    await drained;
  });
  const late = setTimeout(fail, STARTS_WITHIN_MS);
  await listening.promise.finally(() => clearTimeout(late));
  return async () => {
    const response = await fetch(`http://127.0.0.1:${port}/payments`);
    await response.body?.cancel();
    return response.status;
  };
}

/** Asks both servers in turns, until one refuses. */
async function failUntilOpen({ first, second }: Servers): Promise<number[]> {
  const statuses: number[] = [];
  await until(async () => {
    statuses.push(await (statuses.length % 2 === 0 ? first : second)());
    return statuses.at(-1) === 503;
  }, OPENS_WITHIN_MS);
  return statuses;
}
