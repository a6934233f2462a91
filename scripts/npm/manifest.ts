/**
 * What is published: deno.json, which is the one source of the name, the version and the entry
 * points, and what only npm wants to know.
 *
 * @module
 */

import { ROOT } from "../workspace.ts";

/** The part of deno.json that a package is made of. */
export interface Manifest {
  /** The name, the same in both registries. */
  readonly name: string;
  /** The version, the same in both registries. */
  readonly version: string;
  /** The SPDX name of the licence. */
  readonly license: string;
  /** Entry points, `"."` or `"./name"`, and the module behind each, relative to the root. */
  readonly exports: Readonly<Record<string, string>>;
  /** The versions that the tests use, by the name under which they import them. */
  readonly imports: Readonly<Record<string, string>>;
}

/** Reads deno.json. */
export async function readManifest(): Promise<Manifest> {
  return JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
}

/**
 * Entry points whose module in the npm package is another one. What Deno starts asks whether it is the main
 * module, which a script for `require` cannot; npm has a `bin` instead.
 */
const OTHERS_ON_NPM: Readonly<Record<string, string>> = { "./cli": "./src/cli/cli.ts" };

/** The entry points of the npm package, as those in deno.json. */
export function npmExports({ exports }: Manifest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(exports).map(([entry, path]) => [entry, OTHERS_ON_NPM[entry] ?? path]),
  );
}

/** The program of the npm package: its name on the path, and its file. `npx` takes the only one there is. */
export const PROGRAM: { readonly name: string; readonly file: string; readonly text: string } = {
  name: "circuit-breaker-postgres",
  file: "bin.mjs",
  text: `#!/usr/bin/env node
import { main } from "./esm/src/cli/cli.js";

await main(import.meta.url);
`,
};

/** Where the sources are; npm's provenance requires that it is the repository that publishes. */
export const REPOSITORY = "https://github.com/circuit-breaker/postgres";

/** The fields of package.json that come from here alone. */
export interface Metadata {
  readonly description: string;
  readonly keywords: readonly string[];
  readonly homepage: string;
  readonly bugs: { readonly url: string };
  readonly repository: { readonly type: string; readonly url: string };
  readonly engines: Readonly<Record<string, string>>;
}

/** What npm shows and deno.json has no place for. */
export const METADATA: Metadata = {
  description: "Circuit breakers that a whole fleet of gateway instances shares, kept in the " +
    "PostgreSQL you already run. A store for the Stoma gateway and for any other breaker.",
  keywords: [
    "circuit-breaker",
    "circuitbreaker",
    "postgres",
    "postgresql",
    "resilience",
    "fault-tolerance",
    "distributed",
    "api-gateway",
    "stoma",
    "deno",
    "bun",
  ],
  homepage: `${REPOSITORY}#readme`,
  bugs: { url: `${REPOSITORY}/issues` },
  repository: { type: "git", url: `git+${REPOSITORY}.git` },
  // What the tests run on. In older versions of Node, `require` does not load modules.
  engines: { node: "^20.19.0 || >=22.12.0", bun: ">=1.2", deno: ">=2.8" },
};

/**
 * The drivers and frameworks that npm has. All are optional, since a team brings those that it uses, and of
 * any version: a team may have another version, or the same driver, for other uses, and npm refuses to
 * install where a range does not fit. Which versions to use is said in the README and in the adapters'
 * docs. `*` also fits prereleases, which `>=3` does not.
 */
export const PEERS: Readonly<Record<string, string>> = {
  "@electric-sql/pglite": "*",
  "@neondatabase/serverless": "*",
  "express": "*",
  "hono": "*",
  "pg": "*",
  "postgres": "*",
};

/** Files that go into both packages as they are. */
export const DOCUMENTS: readonly string[] = ["CHANGELOG.md", "LICENSE", "README.md"];

/** The specifier of an entry point: the package's name, with a path for all but the first. */
export function specifierOf({ name }: Manifest, entry: string): string {
  return name + entry.slice(1);
}
