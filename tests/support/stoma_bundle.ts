/**
 * Bundles the Stoma gateway from npm into files that can be imported.
 *
 * The package's `exports` point at files it does not contain and its scripts import each other
 * without extensions, so no import finds it as it is. The code itself stays as published.
 *
 * @module
 */

import { join } from "node:path";
import { GuardedFolder } from "./guarded_folder.ts";

const NAME = "@homegrower-club/stoma";
/** The package, in the version that is tested against. */
export const PACKAGE: string = `npm:${NAME}@0.1.0-rc.5`;
const CONFIG = {
  nodeModulesDir: "none",
  lock: false,
  unstable: ["sloppy-imports"],
  imports: {
    "hono": "npm:hono@4.13.19",
    "hono/": "npm:/hono@4.13.19/",
    "zod": "npm:zod@4.6.7",
  },
};
const GATEWAY_ENTRY = `export {
  circuitBreaker, createGateway, InMemoryCircuitBreakerStore, timeout
} from "./stoma/index.js";`;
const ADAPTERS_ENTRY = `export {
  POSTGRES_SCHEMA_SQL, PostgresCircuitBreakerStore, RedisCircuitBreakerStore
} from "./stoma/adapters/index.js";`;

/** Two files that this and other processes can import until the bundle is disposed of. */
export interface StomaBundle extends AsyncDisposable {
  /** The gateway and its policy. */
  readonly gatewayPath: string;
  /** The stores for shared circuits that the package ships itself. */
  readonly adaptersPath: string;
}

/** Bundles the package into a folder that vanishes on disposal or with this process. */
export async function bundleStoma(): Promise<StomaBundle> {
  const folder = await GuardedFolder.create();
  const { path } = folder;
  try {
    await Deno.writeTextFile(join(path, "deno.json"), JSON.stringify(CONFIG));
    await Deno.writeTextFile(join(path, "gateway.js"), GATEWAY_ENTRY);
    await Deno.writeTextFile(join(path, "adapters.js"), ADAPTERS_ENTRY);
    await copyScripts(join(await installedAt(folder), "dist"), join(path, "stoma"));
    await deno(folder, ["bundle", "--quiet", "--outdir", "bundled", "gateway.js", "adapters.js"]);
  } catch (error) {
    await folder.end();
    throw error;
  }
  return {
    gatewayPath: join(path, "bundled", "gateway.js"),
    adaptersPath: join(path, "bundled", "adapters.js"),
    [Symbol.asyncDispose]: () => folder.end(),
  };
}

/** Runs Deno in the folder, so that this project's own configuration stays out of it. */
async function deno(folder: GuardedFolder, args: string[]): Promise<string> {
  const child = await folder.spawn(Deno.execPath(), {
    args,
    cwd: folder.path,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await child.output();
  await folder.forget();
  if (success) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trim();
  throw new Error(`Cannot bundle Stoma: "deno ${args[0]}" failed, received ${reason}`);
}

/** Has Deno fetch the package into its cache where it is missing, and returns its folder there. */
async function installedAt(folder: GuardedFolder): Promise<string> {
  const { npmPackages } = JSON.parse(await deno(folder, ["info", "--json", PACKAGE])) as {
    npmPackages: Record<string, { name: string; localPath: string }>;
  };
  const found = Object.values(npmPackages).find(({ name }) => name === NAME);
  if (!found) throw new Error(`Cannot bundle Stoma: ${PACKAGE} is not in Deno's cache`);
  return found.localPath;
}

/** Copies what is run. Inside Deno's cache, extensionless imports would not resolve. */
async function copyScripts(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyScripts(join(from, name), join(to, name));
    else if (name.endsWith(".js")) {
      await Deno.writeTextFile(join(to, name), await Deno.readTextFile(join(from, name)));
    }
  }
}
