/**
 * Packs the package and looks at what is in it.
 *
 * @module
 */

import { filesIn } from "../build.ts";
import { SHARED } from "../bundle.ts";
import type { Specification } from "../specification.ts";
import { npm, type ProgramQueue } from "./program_queue.ts";
import { ensure, type Result, resultOf } from "./report.ts";

const MAX_BYTES = 200_000;

/** Tools from npm, in the versions that are known to find this package clean. */
const PUBLINT = "publint@0.3.25";
const ARE_THE_TYPES_WRONG = "@arethetypeswrong/cli@0.18.5";

/** Packs the built package as npm does when it publishes. */
export async function pack(queue: ProgramQueue, folder: string): Promise<string> {
  const printed = await queue.runOk(
    npm("pack", "--json", "--ignore-scripts", "--pack-destination", queue.path),
    folder,
  );
  const [{ filename }] = JSON.parse(printed) as [{ filename: string }];
  return `${queue.path}/${filename}`;
}

/** Checks the files in the tarball against the specification. */
export async function checkTarball(
  queue: ProgramQueue,
  tarball: string,
  specification: Specification,
): Promise<Result[]> {
  const unpacked = `${queue.path}/unpacked`;
  await Deno.mkdir(unpacked);
  await queue.runOk(["tar", "-xzf", tarball, "-C", unpacked], queue.path);
  const folder = `${unpacked}/package`;
  const files = await filesIn(folder);
  const texts = new Map<string, string>();
  for (const path of files) texts.set(path, await Deno.readTextFile(`${folder}/${path}`));
  const including = (pattern: RegExp) =>
    files.filter((path) => pattern.test(texts.get(path) ?? "")).join(", ");

  return await Promise.all([
    resultOf("the tarball holds exactly the files that are specified", () => {
      const missing = specification.files.filter((path) => !files.includes(path));
      const unknown = files.filter((path) =>
        !specification.files.includes(path) && !SHARED.test(path)
      );
      ensure(missing.length === 0, `missing: ${missing.join(", ")}`);
      ensure(unknown.length === 0, `unknown: ${unknown.join(", ")}`);
    }),
    resultOf("its package.json is the one that is specified", () => {
      const written = JSON.parse(texts.get("package.json") ?? "null");
      const specified = JSON.parse(JSON.stringify(specification.packageJson));
      ensure(
        JSON.stringify(written) === JSON.stringify(specified),
        `received ${JSON.stringify(written)}`,
      );
    }),
    resultOf(`the tarball is smaller than ${MAX_BYTES / 1000} kB`, async () => {
      const { size } = await Deno.stat(tarball);
      ensure(size < MAX_BYTES, `received ${size} bytes`);
    }),
    resultOf("the package has no dependencies", () => {
      const { dependencies, bundleDependencies } = JSON.parse(texts.get("package.json") ?? "{}");
      ensure(
        dependencies === undefined && bundleDependencies === undefined,
        `received ${JSON.stringify({ dependencies, bundleDependencies })}`,
      );
    }),
    resultOf("the tarball holds no tests and no source maps", () => {
      const found = files.filter((path) => /test|\.map$|(?<!\.d)\.ts$/.test(path));
      ensure(found.length === 0, `received ${found.join(", ")}`);
      const maps = including(/[#@] source(Mapping)?URL=/);
      ensure(maps === "", `received references in ${maps}`);
    }),
    resultOf("the tarball holds no path of the machine that built it", () => {
      const found = including(/file:\/\/|\/(home|Users|root|tmp|work)\/|[A-Z]:\\/);
      ensure(found === "", `received ${found}`);
    }),
    resultOf("compiled modules use no syntax or name of Deno's", () => {
      const found = including(/\bDeno\.|(from|import\() ?"(npm|jsr):/);
      const compiled = found.split(", ").filter((path) => path.endsWith(".js"));
      ensure(compiled.length === 0, `received ${compiled.join(", ")}`);
    }),
  ]);
}

/** Has the linters that npm's users know look at the tarball. */
export async function checkWithLinters(queue: ProgramQueue, tarball: string): Promise<Result[]> {
  const project = await queue.project("linters", [PUBLINT, ARE_THE_TYPES_WRONG]);
  const bin = `${project}/node_modules/.bin`;
  return [
    await resultOf("publint finds nothing", async () => {
      await queue.runOk([`${bin}/publint`, "run", tarball, "--strict"], project);
    }),
    await resultOf("are the types wrong? finds nothing", async () => {
      await queue.runOk([`${bin}/attw`, tarball, "--no-emoji"], project);
    }),
  ];
}
