/**
 * `deno task release:check`: whether what is built may be published. One line for each thing that
 * has to hold. Runs after `deno task build:npm`.
 *
 * @module
 */

import { createRequire } from "node:module";
import { type Manifest, readManifest } from "./npm/manifest.ts";
import { examine, type Names, type Release } from "./npm/release.ts";
import { MODULE_KINDS, type PackageJson, specify } from "./npm/specification.ts";
import { ROOT } from "./workspace.ts";

const PACKAGE = new URL("npm/", ROOT);
const VERSION_TAG = /^v\d/;

async function gather(): Promise<Release> {
  const manifest = await readManifest();
  const built = await readIfThere(new URL("package.json", PACKAGE));
  return {
    manifest,
    changelog: await Deno.readTextFile(new URL("CHANGELOG.md", ROOT)),
    specified: JSON.parse(JSON.stringify((await specify(manifest)).packageJson)),
    built: built === undefined ? undefined : JSON.parse(built),
    sourceNames: await namesOf(manifest, (path) => import(new URL(path, ROOT).href)),
    builtNames: built === undefined ? {} : await builtNames(manifest, JSON.parse(built)),
    changedFiles: (await git("status", "--porcelain")).map((line) => line.slice(3)),
    tags: await versionTags(),
    repository: Deno.env.get("GITHUB_REPOSITORY"),
  };
}

async function namesOf(
  manifest: Manifest,
  load: (path: string, entry: string) => unknown,
): Promise<Names> {
  const names: Record<string, string[]> = {};
  for (const [entry, path] of Object.entries(manifest.exports)) {
    const module = await load(path, entry);
    names[entry] = Object.keys(module as object).toSorted();
  }
  return names;
}

async function builtNames(
  manifest: Manifest,
  { exports }: PackageJson,
): Promise<Record<string, Names>> {
  const require = createRequire(PACKAGE);
  const names: Record<string, Names> = {};
  for (const kind of Object.values(MODULE_KINDS)) {
    names[kind] = await namesOf(manifest, (_path, entry) => {
      const conditions = exports[entry];
      if (conditions === undefined || typeof conditions === "string") return {};
      return kind === "module"
        ? import(new URL(conditions.import.default, PACKAGE).href)
        : require(conditions.require.default);
    });
  }
  return names;
}

/** The tag that started a workflow, otherwise those of the commit. */
async function versionTags(): Promise<string[]> {
  const started = Deno.env.get("GITHUB_REF_TYPE") === "tag"
    ? [Deno.env.get("GITHUB_REF_NAME") ?? ""]
    : await git("tag", "--points-at", "HEAD");
  return started.filter((tag) => VERSION_TAG.test(tag));
}

async function git(...args: string[]): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd: ROOT }).output();
  if (!success) {
    const reason = new TextDecoder().decode(stderr).trim();
    throw new Error(`Cannot check the release: "git ${args[0]}" failed, received ${reason}`);
  }
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

async function readIfThere(file: URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function main(): Promise<number> {
  const release = await gather();
  const findings = examine(release);
  for (const { name, problem } of findings) {
    console.log(problem === undefined ? `ok      ${name}` : `FAILED  ${name}: ${problem}`);
  }
  const failed = findings.filter(({ problem }) => problem !== undefined).length;
  const { name, version } = release.manifest;
  console.log(
    failed === 0
      ? `${name}@${version} can be published.`
      : `${name}@${version} cannot be published: ${failed} of ${findings.length} do not hold.`,
  );
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
