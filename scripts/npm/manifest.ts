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
  // What the tests run on: Node without `Symbol.asyncDispose` is older than that.
  engines: { node: ">=20", bun: ">=1.2", deno: ">=2" },
};

/**
 * The drivers that npm has, from the oldest version that passed the conformance suite. All are
 * optional: a team brings the one that it uses. postgres.js 3.4.8 and 3.4.9 can end the process
 * after the server has terminated a connection.
 */
export const DRIVERS: Readonly<Record<string, string>> = {
  "@electric-sql/pglite": ">=0.2.0 <1",
  "pg": "^8.0.3",
  "postgres": ">=3.4.5 <3.4.8 || >=3.4.10 <4",
};

/** Files that go into both packages as they are. */
export const DOCUMENTS: readonly string[] = ["CHANGELOG.md", "LICENSE", "README.md"];

/** The specifier of an entry point: the package's name, with a path for all but the first. */
export function specifierOf({ name }: Manifest, entry: string): string {
  return name + entry.slice(1);
}
