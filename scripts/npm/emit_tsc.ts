/**
 * Builds with the TypeScript compiler from npm, in the layout of dnt: for machines that do not reach
 * JSR, where dnt comes from.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { ROOT } from "../workspace.ts";
import { isRelative, replaceImports } from "./modules.ts";
import type { Emit } from "./build.ts";

const MODULES = { esm: ts.ModuleKind.ESNext, script: ts.ModuleKind.CommonJS } as const;

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  // What Node 20 has; Deno's and Bun's own names are not there, so their use does not compile.
  lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  types: [],
  strict: true,
  noImplicitOverride: true,
  noUncheckedIndexedAccess: true,
  isolatedModules: true,
  declaration: true,
  noEmitOnError: true,
  newLine: ts.NewLineKind.LineFeed,
};

/** Compiles everything twice, to modules and to scripts for `require`. */
export const emitWithTsc: Emit = ({ specification, folder }) => {
  const root = fileURLToPath(ROOT);
  for (const [name, module] of Object.entries(MODULES)) {
    const options = { ...OPTIONS, module, rootDir: root, outDir: `${folder}/${name}` };
    const names = specification.modules.map((path) => root + path);
    const program = ts.createProgram(names, options, hostOf(options, root));
    const problems = ts.getPreEmitDiagnostics(program);
    const { diagnostics } = problems.length > 0 ? { diagnostics: problems } : program.emit();
    if (diagnostics.length > 0) {
      throw new Error(
        `Cannot build the package: it does not compile, received\n${text(diagnostics)}`,
      );
    }
  }
};

/** Reads the package's own modules with the specifiers that the compiled ones need. */
function hostOf(options: ts.CompilerOptions, root: string): ts.CompilerHost {
  const host = ts.createCompilerHost(options, true);
  const readFile = host.readFile;
  host.getCurrentDirectory = () => root;
  host.getDefaultLibLocation = () => dirname(ts.getDefaultLibFilePath(options));
  host.readFile = (path) => {
    const source = readFile(path);
    if (source === undefined || !path.startsWith(root)) return source;
    return replaceImports(
      source,
      (specifier) => isRelative(specifier) ? specifier.replace(/\.ts$/, ".js") : undefined,
    );
  };
  return host;
}

function text(diagnostics: readonly ts.Diagnostic[]): string {
  return ts.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => fileURLToPath(ROOT),
    getNewLine: () => "\n",
  });
}
