/**
 * `deno task build:npm [--emitter=dnt|tsc] [--out=FOLDER]`: builds the npm package in `npm/`, with
 * dnt, or with the TypeScript compiler from npm where JSR, and so dnt, is not reachable.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPackage, type Emit } from "./npm/build.ts";
import { emitWithDnt, loadDnt } from "./npm/emit_dnt.ts";
import { emitWithTsc } from "./npm/emit_tsc.ts";
import { ROOT } from "./workspace.ts";

const USAGE = `Usage: deno task build:npm [--emitter=dnt|tsc] [--out=FOLDER]

  --emitter=dnt  fails where dnt cannot be loaded; releases are built with it
  --emitter=tsc  TypeScript from npm, the same layout
  --out=FOLDER   npm/ by default; what is in it is removed`;

/** Says which compiler builds, and why it is not dnt. */
async function chooseEmitter(name: string | undefined): Promise<[emit: Emit, line: string]> {
  if (name === "dnt") return [emitWithDnt, "Building with dnt."];
  if (name === "tsc") return [emitWithTsc, "Building with TypeScript from npm, as asked for."];
  try {
    await loadDnt();
    return [emitWithDnt, "Building with dnt."];
  } catch (error) {
    const [reason] = String(error instanceof Error ? error.message : error).split("\n");
    return [
      emitWithTsc,
      `Building with TypeScript from npm instead of dnt, which cannot be loaded: ${reason}`,
    ];
  }
}

async function main(args: string[]): Promise<number> {
  const options: Record<string, string> = {};
  for (const arg of args) {
    const [, name, value] = /^--(emitter=(?=dnt$|tsc$)|out=(?=.))(.+)$/.exec(arg) ?? [];
    if (name === undefined || value === undefined) {
      console.error(
        `Cannot build the package: there is no such argument, received ${arg}\n\n${USAGE}`,
      );
      return 2;
    }
    options[name.slice(0, -1)] = value;
  }
  const folder = resolve(options.out ?? fileURLToPath(new URL("npm", ROOT)));
  const [emit, line] = await chooseEmitter(options.emitter);
  console.log(line);
  const { packageJson, files } = await buildPackage(folder, emit);
  console.log(`${packageJson.name}@${packageJson.version}: ${files.length} files in ${folder}`);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
