/**
 * Builds the npm package in a folder with either compiler, and holds the result to the
 * specification.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { ROOT } from "../workspace.ts";
import { bundle } from "./bundle.ts";
import { finishDeclarations } from "./declarations.ts";
import { DOCUMENTS, type Manifest, PROGRAM, readManifest } from "./manifest.ts";
import { closureOf } from "./modules.ts";
import { MODULE_KINDS, type Specification, specify } from "./specification.ts";

/** What a compiler is given. */
export interface Assignment {
  readonly manifest: Manifest;
  readonly specification: Specification;
  /** An empty folder. */
  readonly folder: string;
}

/** Puts compiled modules and declarations into a folder, and whatever else it likes. */
export type Emit = (assignment: Assignment) => void | Promise<void>;

/** Builds the package. The folder is emptied first. */
export async function buildPackage(folder: string, emit: Emit): Promise<Specification> {
  const manifest = await readManifest();
  const specification = await specify(manifest);
  await removeIfThere(folder);
  await Deno.mkdir(folder, { recursive: true });
  await emit({ manifest, specification, folder });
  await finish(folder, specification);
  return specification;
}

/** Completes what a compiler put into a folder, and takes away what is not part of the package. */
async function finish(folder: string, specification: Specification): Promise<void> {
  await assertComplete(folder, specification);
  for (const path of await filesIn(folder)) {
    if (!specification.compiled.includes(path)) await Deno.remove(`${folder}/${path}`);
  }
  await writeJson(`${folder}/package.json`, specification.packageJson);
  for (const [name, type] of Object.entries(MODULE_KINDS)) {
    // Bundlers ask the nearest package.json, which is this one, whether a module that nothing uses can go.
    await writeJson(`${folder}/${name}/package.json`, { type, sideEffects: false });
  }
  await bundle(folder, specification);
  await removeEmptyFolders(folder);
  await Deno.writeTextFile(`${folder}/${PROGRAM.file}`, PROGRAM.text);
  for (const name of DOCUMENTS) await Deno.copyFile(new URL(name, ROOT), `${folder}/${name}`);
  for (const path of specification.files) {
    if (!path.endsWith(".d.ts")) continue;
    const file = `${folder}/${path}`;
    await Deno.writeTextFile(file, finishDeclarations(await Deno.readTextFile(file)));
  }
}

/** Everything that the compiled modules import has to be part of the package. */
async function assertComplete(folder: string, { compiled }: Specification): Promise<void> {
  const present = await filesIn(folder);
  const missing = compiled.filter((path) => !present.includes(path));
  if (missing.length > 0) {
    throw new Error(`Cannot build the package: the compiler left out ${missing.join(", ")}`);
  }
  const root = pathToFileURL(`${folder}/`);
  const reached = await closureOf(root, compiled.filter((path) => path.endsWith(".js")));
  const unknown = reached.filter((path) => !compiled.includes(path));
  if (unknown.length > 0) {
    throw new Error(
      `Cannot build the package: the compiler added modules that the sources do not have, ` +
        `received ${unknown.join(", ")}`,
    );
  }
}

/** Every file in a folder and the folders in it, as sorted paths. */
export async function filesIn(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${prefix}`)) {
    if (isDirectory) found.push(...await filesIn(folder, `${prefix}${name}/`));
    else found.push(prefix + name);
  }
  return found.toSorted();
}

async function removeEmptyFolders(folder: string): Promise<boolean> {
  let isEmpty = true;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory || !await removeEmptyFolders(`${folder}/${name}`)) isEmpty = false;
  }
  if (isEmpty) await Deno.remove(folder);
  return isEmpty;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
