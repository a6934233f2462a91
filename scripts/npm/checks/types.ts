/**
 * Compiles programs that use the package, with the oldest and the newest compiler.
 *
 * @module
 */

import { ROOT } from "../../workspace.ts";
import { type Manifest, specifierOf } from "../manifest.ts";
import type { ProgramQueue } from "./program_queue.ts";
import { type Result, resultOf } from "./report.ts";

/** 5.2 is the first that knows `AsyncDisposable`. */
const COMPILERS: Readonly<Record<string, string>> = { oldest: "5.2.2", newest: "7.0.2" };

const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  skipLibCheck: false,
  noEmit: true,
  target: "es2020",
  // No DOM, no newer library, no types of a driver or a runtime.
  lib: ["es2020"],
  types: [],
};

interface Setting {
  readonly module: string;
  readonly moduleResolution: string;
  /** How the files of the consumer end. */
  readonly extensions: readonly string[];
  /** Compilers that know the setting. */
  readonly compilers: readonly string[];
}

const SETTINGS: readonly Setting[] = [
  {
    module: "node16",
    moduleResolution: "node16",
    extensions: ["mts", "cts"],
    compilers: ["oldest", "newest"],
  },
  {
    module: "nodenext",
    moduleResolution: "nodenext",
    extensions: ["mts", "cts"],
    compilers: ["oldest", "newest"],
  },
  {
    module: "esnext",
    moduleResolution: "bundler",
    extensions: ["ts"],
    compilers: ["oldest", "newest"],
  },
  { module: "commonjs", moduleResolution: "node10", extensions: ["ts"], compilers: ["oldest"] },
];

/** Compiles the consumer of `tests/npm` and an import of every entry point, in every setting. */
export async function checkTypes(
  queue: ProgramQueue,
  manifest: Manifest,
  tarball: string,
): Promise<Result[]> {
  const project = await queue.project("types", [
    tarball,
    ...Object.entries(COMPILERS).map(([name, version]) => `${name}@npm:typescript@${version}`),
  ]);
  const consumer = await Deno.readTextFile(new URL("tests/npm/consumer.ts", ROOT));
  const sources = { consumer, entries: importAll(manifest) };
  for (const [name, source] of Object.entries(sources)) {
    for (const extension of ["ts", "mts", "cts"]) {
      await Deno.writeTextFile(`${project}/${name}.${extension}`, source);
    }
  }
  const results: Result[] = [];
  for (const { extensions, compilers, ...setting } of SETTINGS) {
    const config = `${project}/tsconfig.${setting.moduleResolution}.json`;
    const files = extensions.flatMap((extension) =>
      Object.keys(sources).map((name) => `${name}.${extension}`)
    );
    const compilerOptions = { ...STRICT, ...setting };
    await Deno.writeTextFile(config, JSON.stringify({ compilerOptions, files }));
    for (const name of compilers) {
      const title = `TypeScript ${
        COMPILERS[name]
      } with moduleResolution ${setting.moduleResolution}`;
      const tsc = `${project}/node_modules/${name}/bin/tsc`;
      results.push(
        await resultOf(title, () => queue.runOk(["node", tsc, "-p", config], project)),
      );
    }
  }
  return results;
}

function importAll(manifest: Manifest): string {
  return Object.keys(manifest.exports).map((entry, index) =>
    `import * as entry${index} from "${specifierOf(manifest, entry)}";\n` +
    `export const names${index}: string[] = Object.keys(entry${index});\n` +
    `// @ts-expect-error The types are known, not any.\n` +
    `entry${index}.noSuchName;\n`
  ).join("");
}
