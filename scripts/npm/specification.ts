/**
 * What the npm package consists of, whichever compiler builds it.
 *
 * @module
 */

import { ROOT } from "../workspace.ts";
import { DOCUMENTS, type Manifest, METADATA, npmExports, PEERS, PROGRAM } from "./manifest.ts";
import { closureOf, declaredClosureOf } from "./modules.ts";

/** The npm package, described. */
export interface Specification {
  /** The content of package.json. */
  readonly packageJson: PackageJson;
  /**
   * Every file, as a path below the package's folder, sorted; but for the modules that others share, of
   * which the build makes as many as there are.
   */
  readonly files: readonly string[];
  /** The files that a compiler makes of the modules, as paths below that folder. */
  readonly compiled: readonly string[];
  /** The modules of the entry points, as paths below the root. */
  readonly entries: readonly string[];
  /** The modules that it is compiled from, as paths below the root. */
  readonly modules: readonly string[];
}

/** A package.json as this package has it. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly main: string;
  readonly exports: Readonly<Record<string, Conditions | string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** How one entry point is found. */
export interface Conditions {
  readonly import: { readonly types: string; readonly default: string };
  readonly require: { readonly types: string; readonly default: string };
}

/** The package.json in a folder of compiled modules says what kind of modules they are. */
export const MODULE_KINDS: Readonly<Record<string, "module" | "commonjs">> = {
  esm: "module",
  script: "commonjs",
};

/** Works out what the package consists of. */
export async function specify(manifest: Manifest): Promise<Specification> {
  const entries = Object.values(npmExports(manifest));
  const modules = await closureOf(ROOT, entries);
  // Programs cannot import the others, and no compiler looks for their declarations.
  const declared = new Set(await declaredClosureOf(ROOT, entries));
  const outputs: string[] = [];
  const files = ["package.json", PROGRAM.file, ...DOCUMENTS];
  for (const folder of Object.keys(MODULE_KINDS)) {
    files.push(`${folder}/package.json`);
    for (const path of modules) {
      const [script, declarations] = compiled(folder, path);
      outputs.push(script);
      if (entries.includes(`./${path}`)) files.push(script);
      if (!declared.has(path)) continue;
      outputs.push(declarations);
      files.push(declarations);
    }
  }
  return {
    packageJson: packageJson(manifest),
    files: files.toSorted(),
    compiled: outputs.toSorted(),
    entries,
    modules,
  };
}

function packageJson(manifest: Manifest): PackageJson {
  const entries = Object.entries(npmExports(manifest));
  const main = conditions(manifest.exports["."] ?? "");
  return {
    name: manifest.name,
    version: manifest.version,
    ...METADATA,
    license: manifest.license,
    type: "commonjs",
    sideEffects: false,
    main: main.require.default,
    module: main.import.default,
    types: main.require.types,
    exports: {
      ...Object.fromEntries(entries.map(([entry, path]) => [entry, conditions(path)])),
      "./package.json": "./package.json",
    },
    // For TypeScript with `moduleResolution: node10`, which does not read `exports`.
    typesVersions: {
      "*": Object.fromEntries(
        entries.filter(([entry]) => entry !== ".").map(([entry, path]) => [
          entry.slice("./".length),
          [conditions(path).require.types],
        ]),
      ),
    },
    bin: { [PROGRAM.name]: PROGRAM.file },
    files: [...Object.keys(MODULE_KINDS), PROGRAM.file, ...DOCUMENTS],
    peerDependencies: PEERS,
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(PEERS).map((name) => [name, { optional: true }]),
    ),
    publishConfig: { access: "public" },
  };
}

function conditions(path: string): Conditions {
  const [esm, esmTypes] = compiled("./esm", path);
  const [script, scriptTypes] = compiled("./script", path);
  // The first condition that matches wins, and a compiler matches "default" as well.
  return {
    import: { types: esmTypes, default: esm },
    require: { types: scriptTypes, default: script },
  };
}

/** What a module becomes: a script and its declarations. */
function compiled(folder: string, path: string): [script: string, declarations: string] {
  const name = `${folder}/${path.replace(/^\.\//, "").replace(/\.ts$/, "")}`;
  return [`${name}.js`, `${name}.d.ts`];
}
