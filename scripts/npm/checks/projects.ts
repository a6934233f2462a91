/**
 * Runs programs in projects that have the package installed from its tarball.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import { describeExports } from "../../../tests/npm/exports.ts";
import { createDatabase } from "../../../tests/support/database.ts";
import { bundleStoma } from "../../../tests/support/stoma.ts";
import { PACKAGE as STOMA_PACKAGE } from "../../../tests/support/stoma_bundle.ts";
import { CLOUDFLARE_WORKERS } from "../../../tests/documents/stand_ins.ts";
import { ROOT } from "../../workspace.ts";
import { type Manifest, specifierOf } from "../manifest.ts";
import { toScript, transplant } from "../transplant.ts";
import { APPS, checkApps } from "./apps.ts";
import { checkGettingStarted, gettingStarted } from "./getting_started.ts";
import { checkProgram } from "./program.ts";
import type { ProgramQueue } from "./program_queue.ts";
import { checkQuickStarts, quickStarts } from "./quick_starts.ts";
import { repairStoma } from "./repair_stoma.ts";
import { type Report, type Result, resultOf } from "./report.ts";
import { runProgram, type Runtime } from "./runtimes.ts";
import { checkSizes } from "./sizes.ts";

const TYPE_PACKAGES = ["@types/node@26.6.6", "typescript@7.0.2"];
/** The name of the project that has nothing but the package. */
const PLAIN = "plain";
const PROGRAMS = ["conformance", "entries", "frameworks", "gateway"];
const DRIVERS = ["pg", "postgres", "@neondatabase/serverless"];
const FRAMEWORKS = ["@hono/node-server", "@types/express", "connect", "express", "hono"];

/** What all runs in projects share. */
export interface Ground {
  readonly queue: ProgramQueue;
  /** Runs programs beside those of the queue. */
  readonly other: ProgramQueue;
  readonly manifest: Manifest;
  readonly tarball: string;
  /** The administrator's connection string. */
  readonly database: string;
  readonly report: Report;
}

/** Imports every entry point, and bundles some, in a project that has nothing but the package. */
export async function checkEntries(ground: Ground, runtimes: readonly Runtime[]): Promise<void> {
  const { queue, manifest, tarball, report } = ground;
  const project = await queue.project(PLAIN, [tarball]);
  await transplant(manifest, [programPath("entries")], project);
  const expected: Record<string, string[]> = {};
  for (const [specifier, source] of await importSources(manifest)) {
    expected[specifier] = describeExports(source);
  }
  for (const runtime of runtimes) {
    await report.group(
      `${runtime.name}, every entry point`,
      () =>
        runProgram(queue, runtime, project, [
          toScript(programPath("entries")),
          manifest.name,
          JSON.stringify(expected),
        ]),
    );
  }
  await report.group("Bundles", () => checkSizes(manifest, project));
}

/** Runs the conformance suite, the gateway and the quick starts on a real server. */
export async function checkOnDatabase(
  ground: Ground,
  runtimes: readonly Runtime[],
): Promise<void> {
  const { queue, manifest, tarball, report } = ground;
  const project = await queue.project("drivers", [
    tarball,
    ...[...DRIVERS, "@types/pg", "bun-types", ...FRAMEWORKS].map((name) =>
      withoutScheme(manifest.imports[name]!)
    ),
    withoutScheme(STOMA_PACKAGE),
    ...TYPE_PACKAGES,
  ]);
  await transplant(manifest, PROGRAMS.map(programPath), project);
  await using stoma = await bundleStoma();
  await repairStoma(project, stoma.gatewayPath);
  await report.group("Examples", () => checkExampleTypes(queue, project));

  const required = await transplantRequiring(manifest, project);
  const checks: ((queue: ProgramQueue) => Promise<void>)[] = [];
  const check = (
    runtime: Runtime,
    title: string,
    argsFor: (databaseUrl: string) => readonly string[],
  ) =>
    checks.push((queue) =>
      report.group(`${runtime.name}, ${title}`, async () => {
        await using database = await createDatabase(ground.database);
        return await runProgram(queue, runtime, project, argsFor(database.url));
      })
    );
  for (const runtime of runtimes) {
    for (const driver of runtime.drivers) {
      for (const program of ["conformance", "gateway"]) {
        const script = toScript(programPath(program));
        check(runtime, `${driver}, ${program}`, (url) => [script, driver, url, stoma.gatewayPath]);
      }
    }
    checks.push((queue) =>
      report.group(
        `${runtime.name}, Hono and Express`,
        () => runProgram(queue, runtime, project, [toScript(programPath("frameworks"))]),
      )
    );
    const script = `${required}/${toScript(programPath("conformance"))}`;
    check(runtime, "conformance of what is required", (url) => [script, "postgres", url]);
  }
  await Promise.all([queue, ground.other].map(async (each) => {
    for (let next = checks.shift(); next !== undefined; next = checks.shift()) await next(each);
  }));
  for (const runtime of runtimes) {
    await report.group(
      `${runtime.name}, getting started`,
      () => checkGettingStarted(ground, runtime, project),
    );
    await checkApps(report, runtime, project, ground.database);
  }
  await checkQuickStarts(ground, runtimes, stoma);
  await checkProgram(ground, runtimes, project, `${queue.path}/${PLAIN}`);
}

/** The modules that the package is compiled from, by the specifiers of its entry points. */
async function importSources(manifest: Manifest): Promise<[specifier: string, module: object][]> {
  return await Promise.all(
    Object.entries(manifest.exports).map(async ([entry, path]) =>
      [specifierOf(manifest, entry), await import(new URL(path, ROOT).href)] as [string, object]
    ),
  );
}

/**
 * Copies the conformance suite such that it uses the scripts for `require` instead of the modules,
 * and returns the folder of the copy.
 */
async function transplantRequiring(manifest: Manifest, project: string): Promise<string> {
  const folder = `${project}/required`;
  const files = new Map<string, string>();
  for (const [specifier, source] of await importSources(manifest)) {
    const file = `${folder}/entry_${files.size}.mjs`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(
      file,
      'import { createRequire } from "node:module";\n' +
        `const library = createRequire(import.meta.url)(${JSON.stringify(specifier)});\n` +
        `export const { ${Object.keys(source).join(", ")} } = library;\n`,
    );
    files.set(specifier, pathToFileURL(file).href);
  }
  await transplant(
    manifest,
    [programPath("conformance")],
    folder,
    (specifier) => files.get(specifier)!,
  );
  return folder;
}

/** Compiles what is copied from the documents, with the types of everything that it imports. */
async function checkExampleTypes(queue: ProgramQueue, project: string): Promise<Result[]> {
  const examples: [file: string, runtime: string, text: string][] = [];
  for (const [index, { text }] of (await quickStarts()).entries()) {
    examples.push([`readme_${index}.ts`, "node", text]);
  }
  for (const [index, { heading, text }] of (await gettingStarted()).entries()) {
    const runtime = heading.startsWith("Bun") ? "bun" : "node";
    examples.push([`getting_started_${index}.ts`, runtime, text]);
  }
  for (const [app, runtime] of Object.entries({ ...APPS, workers: "workers" })) {
    const text = await Deno.readTextFile(new URL(`tests/examples/${app}.ts`, ROOT));
    examples.push([`${app}.ts`, runtime, text]);
  }
  await Deno.writeTextFile(`${project}/cloudflare_workers.ts`, CLOUDFLARE_WORKERS);
  const types: Readonly<Record<string, string>> = {
    node: "node",
    workers: "node",
    bun: "bun-types",
  };
  const results: Result[] = [];
  for (const [file, runtime, text] of examples) {
    await Deno.writeTextFile(`${project}/${file}`, text);
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: "es2022",
      module: "esnext",
      moduleResolution: "bundler",
      types: [types[runtime]],
      paths: { "cloudflare:workers": ["./cloudflare_workers.ts"] },
      // Errors in the types of other packages are not ours to mend.
      skipLibCheck: true,
    };
    const config = `${project}/tsconfig.${file}.json`;
    await Deno.writeTextFile(config, JSON.stringify({ compilerOptions, files: [file] }));
    const tsc = `${project}/node_modules/typescript/bin/tsc`;
    results.push(
      await resultOf(
        `${file} compiles`,
        () => queue.runOk(["node", tsc, "-p", config], project),
      ),
    );
  }
  return results;
}

function withoutScheme(specifier: string): string {
  return specifier.replace(/^npm:/, "");
}

function programPath(name: string): string {
  return `tests/npm/${name}.ts`;
}

/** The folder that `deno task build:npm` builds in. */
export const PACKAGE: string = fileURLToPath(new URL("npm", ROOT));
