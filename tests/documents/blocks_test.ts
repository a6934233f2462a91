/**
 * Every code block of the documents has a test: one that runs it, checks its types, parses it, or compares
 * it with what it shows. A block of another kind fails here.
 */

import { migrate } from "@circuit-breaker/postgres";
import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { ROOT } from "../../scripts/workspace.ts";
import { connect, createDatabase } from "../support/database.ts";
import { type CodeBlock, codeBlocks, readPages } from "./code_blocks.ts";
import { problemOfLine, type Project } from "./shell_commands.ts";

/** Where a block is tested, by what stands behind its fence. The path says in which pages it may stand. */
const HOMES: Readonly<Record<string, { pages: RegExp; test: string }>> = {
  "ts": { pages: /^(README\.md|docs\/)/, test: "deno test --doc runs it: see scripts/test.ts" },
  "ts ignore": { pages: /^(README\.md|docs\/)/, test: "typed_blocks_test.ts checks its types" },
  "sh": { pages: /./, test: "this file looks for its commands" },
  "sql": { pages: /./, test: "this file runs it" },
  "yaml": { pages: /./, test: "this file parses it" },
  "json": { pages: /./, test: "this file parses it" },
  "text": {
    pages: /^docs\/(design|replication)\.md$/,
    test: "this file compares it with the sources",
  },
};

/** The roles that statements in the documents name. */
const ROLES = ["gateway", "analyst"];

const pages = await readPages(ROOT);
const blocks = [...pages].flatMap(([page, markdown]) => codeBlocks(page, markdown));

function placeOf({ page, line }: CodeBlock): string {
  return `${page}:${line}`;
}

function ofKind(info: string): CodeBlock[] {
  return blocks.filter((block) => block.info === info);
}

/** Blocks of which no test knows. */
function homeless(blocks: readonly CodeBlock[]): string[] {
  return blocks
    .filter(({ page, info }) => !HOMES[info]?.pages.test(page))
    .map((block) => `${placeOf(block)}: ${block.info || "no language"}`);
}

Deno.test("every code block has a test", () => {
  assert(blocks.length > 40, `${blocks.length} blocks`);
  assertEquals(homeless(blocks), []);
});

Deno.test("a block without a language, or of an unknown one, has none", () => {
  const page = "a\n\n```\nno language\n```\n\n```python\nprint()\n```\n\n```ts no-check\n1;\n```\n";
  assertEquals(homeless(codeBlocks("docs/a.md", page)), [
    "docs/a.md:3: no language",
    "docs/a.md:7: python",
    "docs/a.md:11: ts no-check",
  ]);
  assertEquals(homeless(codeBlocks("CHANGELOG.md", "```ts\n1;\n```\n")), ["CHANGELOG.md:1: ts"]);
});

Deno.test("blocks are found with their headings, in lists and within longer fences", () => {
  const page = "# One\n\n- item\n\n  ```sh\n  a\n    b\n  ```\n\n## Two\n\n````text\n```ts\n````\n";
  assertEquals(codeBlocks("a.md", page), [
    { page: "a.md", line: 5, heading: "One", info: "sh", text: "a\n  b\n" },
    { page: "a.md", line: 12, heading: "Two", info: "text", text: "```ts\n" },
  ]);
});

Deno.test("deno test --doc reads the README and all of docs", async () => {
  const script = await Deno.readTextFile(new URL("scripts/test.ts", ROOT));
  const [, everything = ""] = /const EVERYTHING = \[(.+)\];/.exec(script) ?? [];
  assert(everything.includes('"README.md"') && everything.includes('"docs"'), everything);
});

Deno.test("every statement in SQL runs on the tables that migrate makes", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url);
  await migrate(fromPostgresJs(sql));
  const sqlBlocks = ofKind("sql");
  assert(sqlBlocks.length > 0);
  for (const block of sqlBlocks) {
    // Roles belong to the server. Nothing of this stays.
    const undone = new Error("undo");
    const run = sql.begin(async (sql) => {
      for (const role of ROLES) {
        const [found] = await sql`select from pg_roles where rolname = ${role}`;
        if (found === undefined) await sql.unsafe(`create role ${role}`);
      }
      await sql.unsafe(block.text);
      throw undone;
    });
    const error = await run.catch((error) => error);
    assertEquals(error === undone ? "" : `${error}`, "", placeOf(block));
  }
});

Deno.test("every block in YAML and JSON can be parsed", () => {
  for (const block of ofKind("yaml")) assert(parse(block.text) instanceof Object, placeOf(block));
  for (const block of ofKind("json")) assert(JSON.parse(block.text), placeOf(block));
});

Deno.test("HAProxy is set up in the docs as in the tests", async () => {
  const source = await Deno.readTextFile(new URL("tests/topologies/cluster.ts", ROOT));
  // The addresses are the reader's, and the interval is one of the tests' constants.
  const ours = new Set(
    source.split("\n").map((line) => line.replace(/inter \S+/, "inter *").trim()),
  );
  const theirs = ofKind("text").filter(({ page }) => page === "docs/replication.md");
  assertEquals(theirs.length, 1);
  const unknown = theirs[0]!.text.split("\n")
    .map((line) => line.replace(/inter \d+ms/, "inter *").trim())
    .filter((line) => line !== "" && !/^(bind|server) /.test(line) && !ours.has(line));
  assertEquals(unknown, []);
});

Deno.test("the drawing of the design names folders of the sources", async () => {
  for (const { text } of ofKind("text").filter(({ page }) => page === "docs/design.md")) {
    const names = [...text.matchAll(/^([a-z]+) {2,}/gm)].map(([, name]) => name!);
    assert(names.length > 3, text);
    for (const name of names) assert((await Deno.stat(new URL(`src/${name}`, ROOT))).isDirectory);
  }
});

Deno.test("every command in a shell block exists", async () => {
  const project: Project = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const problems: string[] = [];
  for (const block of ofKind("sh")) {
    for (const line of block.text.trimEnd().split("\n")) {
      const problem = problemOfLine(line, project);
      if (problem !== undefined) problems.push(`${placeOf(block)}: "${line}": ${problem}`);
    }
  }
  assertEquals(problems, []);
  for (
    const line of [
      "deno task tset",
      "npx @circuit-breaker/postgres lits",
      "npx @circuit-breaker/postgres prune --idel 1h",
      "npm install @circuit-breaker/postgres pgg",
      "npm install @circuit-breaker/postgres postgres@3.4.9",
      "npm install jsr:@circuit-breaker/postgres",
      "deno add npm:@db/postgres",
      "rm -rf node_modules",
    ]
  ) {
    assert(problemOfLine(line, project) !== undefined, line);
  }
});
