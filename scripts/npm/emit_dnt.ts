/**
 * Builds with dnt, which also runs tests of the compiled package on Node, as modules and as scripts.
 * Releases are built like this. The tests need Node 24, the package only Node 20.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ROOT } from "../workspace.ts";
import type { Assignment, Emit } from "./build.ts";
import { npmExports } from "./manifest.ts";

// Computed, so that nothing looks for dnt before it is asked for: it is in JSR only.
const DNT = ["@deno", "dnt"].join("/");

/** The tests that dnt runs on Node. */
export const TESTS = "tests/npm/dnt_tests.ts";

/** The part of dnt that is used. */
export interface Dnt {
  build(options: DntOptions): Promise<void>;
}

/** The options for dnt, with the names of its `BuildOptions`. */
export interface DntOptions {
  entryPoints: { name: string; path: string }[];
  outDir: string;
  test: boolean;
  rootTestDir: string;
  testPattern: string;
  typeCheck: "both";
  declaration: "inline";
  declarationMap: boolean;
  skipSourceOutput: boolean;
  esModule: boolean;
  scriptModule: "cjs";
  shims: { deno: { test: "dev" } };
  package: { name: string; version: string; license: string };
  compilerOptions: {
    target: "Latest";
    lib: ("ES2023" | "ESNext.Collection" | "ESNext.Disposable" | "DOM" | "DOM.Iterable")[];
    noUncheckedIndexedAccess: boolean;
  };
}

/** Loads dnt; rejects where JSR is not reachable. */
export async function loadDnt(): Promise<Dnt> {
  return await import(DNT);
}

/** Works out the options for dnt. */
export function dntOptions({ manifest, folder }: Assignment): DntOptions {
  return {
    entryPoints: Object.entries(npmExports(manifest)).map(([name, path]) => ({
      name,
      path: fileURLToPath(new URL(path, ROOT)),
    })),
    outDir: folder,
    test: true,
    rootTestDir: fileURLToPath(ROOT),
    testPattern: TESTS,
    typeCheck: "both",
    // Beside each script, since a module and a script for `require` need declarations of their own.
    declaration: "inline",
    declarationMap: false,
    skipSourceOutput: true,
    esModule: true,
    scriptModule: "cjs",
    shims: { deno: { test: "dev" } },
    // What dnt needs to build and to test; the package's own package.json is written afterwards.
    package: { name: manifest.name, version: manifest.version, license: manifest.license },
    compilerOptions: {
      // For every other target dnt adds a module of polyfills, which it takes any `.cause` to need. The
      // sources have no syntax that is newer than ES2022.
      target: "Latest",
      // The tests use methods of sets.
      lib: ["ES2023", "ESNext.Collection", "ESNext.Disposable", "DOM", "DOM.Iterable"],
      noUncheckedIndexedAccess: true,
    },
  };
}

/** Transforms, type-checks, compiles and tests the package. */
export const emitWithDnt: Emit = async (assignment) => {
  const { build } = await loadDnt();
  await build(dntOptions(assignment));
};
