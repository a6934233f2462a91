import { assert, assertEquals } from "@std/assert";
import { METADATA, REPOSITORY } from "../../scripts/npm/manifest.ts";
import { ROOT } from "../../scripts/workspace.ts";
import { codeBlocks } from "./code_blocks.ts";

const MAX_LINES = 200;

const readme = await Deno.readTextFile(new URL("README.md", ROOT));

/** What links and images of a text lead to. */
function targetsIn(markdown: string): string[] {
  return [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/**
 * Links that a registry cannot resolve. npm and JSR show the README beside none of the other files. Both
 * put the repository's address on GitHub in front of a relative path, for images that of its raw files.
 * Neither follows `..`, and older pages of JSR take a path with `/` at its begin for one of their own.
 */
function unresolvable(targets: readonly string[]): string[] {
  return targets.filter((target) => !/^(https:\/\/|#|[\w-]+[./])/.test(target));
}

Deno.test("the README is short", () => {
  const { length } = readme.trimEnd().split("\n");
  assert(length <= MAX_LINES, `it has ${length} lines, at most ${MAX_LINES} are wanted`);
});

Deno.test("the README's links work on npm and on JSR as they do in the repository", () => {
  assert(REPOSITORY.startsWith("https://github.com/"), REPOSITORY);
  assertEquals(METADATA.repository.url, `git+${REPOSITORY}.git`);
  const targets = targetsIn(readme);
  assert(targets.includes("docs/fleet.svg") && targets.length > 30);
  assertEquals(unresolvable(targets), []);
  assertEquals(unresolvable(["/docs/a.md", "../a.md", "./a.md", "http://a", "docs/a.md", "#a"]), [
    "/docs/a.md",
    "../a.md",
    "./a.md",
    "http://a",
  ]);
});

Deno.test("the picture of the fleet has a title, a description, and colours for a dark page", async () => {
  const svg = await Deno.readTextFile(new URL("docs/fleet.svg", ROOT));
  const [, title = ""] = /<title id="title">([^<]+)<\/title>/.exec(svg.replace(/\s+/g, " ")) ?? [];
  assert(readme.includes(`![${title.trim()}](docs/fleet.svg)`), title);
  assert(/<desc id="desc">\s*\S[^<]+<\/desc>/.test(svg));
  assert(svg.includes('aria-labelledby="title desc"'));
  assert(svg.includes("@media (prefers-color-scheme: dark)"));
  assert(
    !/<script|<image|<foreignObject|\bhref=|url\((?!#)|@import/i.test(svg),
    "it loads something",
  );
});

Deno.test("the README has three quick starts and one block of settings to copy", () => {
  const copied = codeBlocks("README.md", readme).filter(({ info }) => info === "ts ignore");
  assertEquals(copied.map(({ heading }) => heading), [
    "Quick start: CircuitBreaker",
    "Quick start: Stoma",
    "Quick start: with cache and check()",
    "Recommended for production",
  ]);
});
