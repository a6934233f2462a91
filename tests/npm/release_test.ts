import { assert, assertEquals } from "@std/assert";
import { readManifest } from "../../scripts/npm/manifest.ts";
import {
  changelogEntry,
  changelogOrder,
  examine,
  type Release,
} from "../../scripts/npm/release.ts";
import { specify } from "../../scripts/npm/specification.ts";
import { ROOT } from "../../scripts/workspace.ts";

const CHANGELOG =
  "# Changelog\n\nAbout it.\n\n## Unreleased\n\n## 1.2.3 - 2026-02-01\n\n- New.\n\n" +
  "## 1.2.2 - 2026-01-31\n\n- Old.\n";

/** A release that may be published. */
async function releaseWith(changes: Partial<Release> = {}): Promise<Release> {
  const manifest = { ...await readManifest(), version: "1.2.3" };
  const { packageJson } = await specify(manifest);
  const names = { ".": ["migrate"], "./pglite": ["fromPglite"] };
  return {
    manifest,
    changelog: CHANGELOG,
    specified: packageJson,
    built: packageJson,
    sourceNames: names,
    builtNames: { module: names, commonjs: names },
    changedFiles: [],
    tags: ["v1.2.3"],
    repository: "circuit-breaker/postgres",
    ...changes,
  };
}

/** What does not hold, with its reason. */
async function problems(changes: Partial<Release> = {}): Promise<string[]> {
  const findings = examine(await releaseWith(changes));
  return findings.flatMap(({ name, problem }) =>
    problem === undefined ? [] : `${name}: ${problem}`
  );
}

Deno.test("examine() lets a release pass for which everything holds", async () => {
  assertEquals(await problems(), []);
  assertEquals(await problems({ tags: [], repository: undefined }), []);
});

Deno.test("examine() holds the version, the changelog and the tags together", async () => {
  const manifest = { ...await readManifest(), version: "1.2.4" };
  const specified = (await specify(manifest)).packageJson;
  assertEquals(await problems({ manifest, specified }), [
    'CHANGELOG.md describes it: there is no heading "## 1.2.4"',
    "tags say the same: deno.json says 1.2.4, the commit has v1.2.3",
    "the npm package is built: its package.json differs in version",
  ]);
  assertEquals(await problems({ manifest: { ...manifest, version: "next" }, tags: [] }), [
    "deno.json has a version: it has next",
    'CHANGELOG.md describes it: there is no heading "## next"',
  ]);
});

Deno.test("examine() wants an entry for the version and none that are not released", async () => {
  assertEquals(await problems({ changelog: CHANGELOG.replace("- New.\n", "") }), [
    'CHANGELOG.md describes it: there is nothing below "## 1.2.3"',
  ]);
  const unreleased = CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n- Next.\n");
  assertEquals(await problems({ changelog: unreleased }), [
    'CHANGELOG.md describes it: there are entries below "## Unreleased"',
  ]);
  assertEquals(await problems({ changelog: CHANGELOG.replace("## Unreleased\n\n", "") }), [
    'CHANGELOG.md describes it: its first heading is not "## Unreleased"',
  ]);
});

Deno.test("examine() compares what JSR and npm export", async () => {
  const { specified } = await releaseWith();
  const { ".": main, ...others } = specified.exports;
  const built = { ...specified, exports: { ".": main!, "./package.json": "./package.json" } };
  const entries = Object.keys(others).filter((entry) => entry !== "./package.json");
  assertEquals(await problems({ built }), [
    "the npm package is built: its package.json differs in exports",
    `both packages have the same entry points: JSR has ${
      [".", ...entries].toSorted().join(", ")
    }, npm has .`,
  ]);
  assertEquals(await problems({ builtNames: { module: { ".": ["migrate"] } } }), [
    "both packages export the same names: ./pglite exports fromPglite, its module undefined",
  ]);
});

Deno.test("examine() says how to build what is not built", async () => {
  const found = await problems({ built: undefined, builtNames: {} });
  assertEquals(found[0], 'the npm package is built: it is not, run "deno task build:npm"');
});

Deno.test("examine() refuses changes that are not committed, and a foreign repository", async () => {
  assertEquals(await problems({ changedFiles: ["a.ts", "b.ts"], repository: "other/fork" }), [
    "npm names the repository that publishes: package.json says " +
    "git+https://github.com/circuit-breaker/postgres.git, the one that publishes is other/fork",
    "everything is committed: changed: a.ts, b.ts",
  ]);
});

Deno.test("changelogEntry() finds headings with dates, links and other versions around", () => {
  const text = "## [1.0.0] - 2026-01-02\n\n- One.\n\n## 1.0.0-rc.1 (2025-12-01)\n\n- Candidate.\n";
  assertEquals(changelogEntry(text, "1.0.0"), "- One.");
  assertEquals(changelogEntry(text, "1.0.0-rc.1"), "- Candidate.");
  assertEquals(changelogEntry(text, "1.0"), undefined);
});

Deno.test("CHANGELOG.md is in order, and describes the version of deno.json", async () => {
  const changelog = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  assertEquals(changelogOrder(changelog), undefined);
  const { version } = await readManifest();
  assert(changelogEntry(changelog, version), version);
});

Deno.test("changelogOrder() wants versions and days to descend, and days that there are", () => {
  const order = (...headings: string[]) =>
    changelogOrder(headings.map((heading) => `## ${heading}\n\n- One.\n`).join("\n"));
  const versions = ["1.10.0", "1.9.0", "1.9.0-rc.10", "1.9.0-rc.2", "1.2.11", "1.2.9", "0.13.0"];
  const dated = versions.map((version) => `${version} - 2026-01-31`);
  assertEquals(order("Unreleased", ...dated), undefined);
  for (let i = 1; i < dated.length; i++) {
    const [newer = "", older = ""] = dated.slice(i - 1);
    assertEquals(
      order("Unreleased", older, newer),
      `"## ${newer}" is not older than "## ${older}"`,
    );
  }
  assertEquals(
    order("Unreleased", "1.0.1 - 2026-01-30", "1.0.0 - 2026-01-31"),
    '"## 1.0.0 - 2026-01-31" is not older than "## 1.0.1 - 2026-01-30"',
  );
  const twice = "1.0.0 - 2026-01-31";
  assertEquals(order("Unreleased", twice, twice), `"## ${twice}" is not older than "## ${twice}"`);
  for (const bad of ["1.0.0", "1.0.0 - 31.1.2026", "1.0.0 - 2026-02-30", "v1.0.0 - 2026-01-31"]) {
    assertEquals(order("Unreleased", bad), `"## ${bad}" is not like "## 1.2.3 - 2026-01-31"`);
  }
  assertEquals(
    order("1.0.0 - 2026-01-31", "Unreleased"),
    'its first heading is not "## Unreleased"',
  );
});
