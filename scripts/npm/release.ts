/**
 * What has to hold before a version is published to both registries.
 *
 * @module
 */

import type { Manifest } from "./manifest.ts";
import type { PackageJson } from "./specification.ts";

/** The names that each entry point exports at run time. */
export type Names = Readonly<Record<string, readonly string[]>>;

/** What is known of a release. */
export interface Release {
  readonly manifest: Manifest;
  /** The text of CHANGELOG.md. */
  readonly changelog: string;
  /** What the sources say the npm package is. */
  readonly specified: PackageJson;
  /** The npm package as it was built; absent where it was not. */
  readonly built: PackageJson | undefined;
  /** What the sources export, which is what JSR publishes. */
  readonly sourceNames: Names;
  /** What the built package exports, by the kind of its modules. */
  readonly builtNames: Readonly<Record<string, Names>>;
  /** Files that differ from the last commit. */
  readonly changedFiles: readonly string[];
  /** Version tags of the commit. */
  readonly tags: readonly string[];
  /** `owner/name` of the repository that publishes, where that is known. */
  readonly repository: string | undefined;
}

const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

/** One thing that has to hold, and why it does not, where it does not. */
export interface Finding {
  readonly name: string;
  readonly problem: string | undefined;
}

/** Checks a release. */
export function examine(release: Release): Finding[] {
  const { manifest, specified, built } = release;
  const { version } = manifest;
  return [
    finding("deno.json has a version", VERSION.test(version) ? undefined : `it has ${version}`),
    finding("CHANGELOG.md describes it", changelogProblem(release.changelog, version)),
    finding("tags say the same", tagProblem(release.tags, version)),
    finding("the npm package is built", builtProblem(specified, built)),
    finding("both packages have the same entry points", entriesProblem(manifest, built)),
    finding("both packages export the same names", namesProblem(release)),
    finding("npm names the repository that publishes", repositoryProblem(release)),
    finding(
      "everything is committed",
      release.changedFiles.length > 0 ? `changed: ${release.changedFiles.join(", ")}` : undefined,
    ),
  ];
}

/** The part of a changelog below the heading of a version, or of what is not released yet. */
export function changelogEntry(changelog: string, heading: string): string | undefined {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => {
    const [line = ""] = text.split("\n", 1);
    const [, title] = /^\[?([^\s\]]+)\]?(?:[ ,(-].*)?$/.exec(line) ?? [];
    return title?.toLowerCase() === heading.toLowerCase();
  });
  return section?.slice(section.indexOf("\n")).trim();
}

function changelogProblem(changelog: string, version: string): string | undefined {
  const entry = changelogEntry(changelog, version);
  if (entry === undefined) return `there is no heading "## ${version}"`;
  if (entry === "") return `there is nothing below "## ${version}"`;
  if (changelogEntry(changelog, "Unreleased")) return 'there are entries below "## Unreleased"';
  return changelogOrder(changelog);
}

const HEADING = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)? - (\d{4}-\d{2}-\d{2})$/;

/**
 * What is out of order in a changelog: "Unreleased" comes first, then versions with the day of each,
 * the newest first.
 */
export function changelogOrder(changelog: string): string | undefined {
  const headings = [...changelog.matchAll(/^## (.*)$/gm)].map(([, text = ""]) => text);
  if (headings[0] !== "Unreleased") return 'its first heading is not "## Unreleased"';
  let newer: RegExpExecArray | undefined;
  for (const heading of headings.slice(1)) {
    const found = HEADING.exec(heading);
    const day = found?.[5] ?? "";
    if (found === null || !isDay(day)) return `"## ${heading}" is not like "## 1.2.3 - 2026-01-31"`;
    if (newer && !(compareVersions(found, newer) < 0 && day <= newer[5]!)) {
      return `"## ${heading}" is not older than "## ${newer[0]}"`;
    }
    newer = found;
  }
}

function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** Compares matches of `HEADING`. A version comes after its own prereleases. */
function compareVersions(a: RegExpExecArray, b: RegExpExecArray): number {
  for (const part of [1, 2, 3]) {
    const difference = Number(a[part]) - Number(b[part]);
    if (difference !== 0) return difference;
  }
  const [before, after] = [a[4], b[4]];
  if (before === undefined || after === undefined) {
    return before === after ? 0 : before === undefined ? 1 : -1;
  }
  return before.localeCompare(after, "en", { numeric: true });
}

function tagProblem(tags: readonly string[], version: string): string | undefined {
  const other = tags.filter((tag) => tag !== `v${version}`);
  if (other.length > 0) return `deno.json says ${version}, the commit has ${other.join(", ")}`;
}

function builtProblem(specified: PackageJson, built: PackageJson | undefined): string | undefined {
  if (built === undefined) return 'it is not, run "deno task build:npm"';
  const fields = new Set([...Object.keys(specified), ...Object.keys(built)]);
  const different = [...fields].filter((name) =>
    JSON.stringify(specified[name]) !== JSON.stringify(built[name])
  );
  if (different.length > 0) return `its package.json differs in ${different.join(", ")}`;
}

function entriesProblem(manifest: Manifest, built: PackageJson | undefined): string | undefined {
  const jsr = Object.keys(manifest.exports).toSorted();
  const npm = Object.keys(built?.exports ?? {}).filter((entry) => entry !== "./package.json")
    .toSorted();
  if (jsr.join() !== npm.join()) return `JSR has ${jsr.join(", ")}, npm has ${npm.join(", ")}`;
}

function namesProblem({ sourceNames, builtNames }: Release): string | undefined {
  const differences = Object.entries(builtNames).flatMap(([kind, names]) =>
    Object.entries(sourceNames)
      .filter(([entry, expected]) => expected.join() !== names[entry]?.join())
      .map(([entry, expected]) =>
        `${entry} exports ${expected.join(", ")}, its ${kind} ${names[entry]?.join(", ")}`
      )
  );
  if (Object.keys(builtNames).length === 0) return "nothing is built";
  if (differences.length > 0) return differences.join("; ");
}

function repositoryProblem({ repository, specified }: Release): string | undefined {
  if (repository === undefined) return;
  const { url } = specified.repository as { url: string };
  if (url !== `git+https://github.com/${repository}.git`) {
    return `package.json says ${url}, the one that publishes is ${repository}`;
  }
}

function finding(name: string, problem: string | undefined): Finding {
  return { name, problem };
}
