import { assertEquals } from "@std/assert";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { changelogEntry, examine, type Release } from "../../scripts/npm/release.ts";
import { specify } from "../../scripts/npm/specification.ts";

const CHANGELOG = "# Changelog\n\nAbout it.\n\n## 1.2.3\n\n- New.\n\n## 1.2.2\n\n- Old.\n";

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
  assertEquals(await problems({ changelog: "## 1.2.3\n\n## 1.2.2\n\n- Old.\n" }), [
    'CHANGELOG.md describes it: there is nothing below "## 1.2.3"',
  ]);
  const unreleased = (entries: string) =>
    CHANGELOG.replace("## 1.2.3", `## Unreleased\n\n${entries}## 1.2.3`);
  assertEquals(await problems({ changelog: unreleased("- Next.\n\n") }), [
    'CHANGELOG.md describes it: there are entries below "## Unreleased"',
  ]);
  assertEquals(await problems({ changelog: unreleased("") }), []);
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
