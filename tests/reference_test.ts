import { assert, assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore, PostgresCircuitBreakerStore } from "../mod.ts";
import { readManifest } from "../scripts/npm/manifest.ts";

const ROOT = new URL("../", import.meta.url);

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The first cells of the table under a heading. */
async function firstCells(heading: string): Promise<string> {
  const page = await read("docs/reference.md");
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [table = ""] = /(?:^\|.*\|\n)+/m.exec(section) ?? [];
  const rows = table.trimEnd().split("\n").slice(2);
  assert(rows.length > 3, `there is no table under ${heading}`);
  return rows.map((row) => row.split("|")[1]!).join("\n");
}

/** The options that an interface declares. */
async function optionsOf(path: string, name: string): Promise<string[]> {
  const [, body = ""] = new RegExp(`^export interface ${name} [^{]*\\{\n([^]*?)^\\}`, "m")
    .exec(await read(path)) ?? [];
  return [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, option = ""]) => option);
}

Deno.test("docs/reference.md lists every option of a store, and no other", async () => {
  const options = [
    ...await optionsOf("src/options/store_options.ts", "PostgresCircuitBreakerStoreOptions"),
    ...await optionsOf("src/options/rule_options.ts", "RuleOptions"),
  ];
  const listed = (await firstCells("Options of a store")).match(/(?<=`)\w+(?=`)/g);
  assertEquals(listed?.toSorted(), options.toSorted());
});

Deno.test("docs/reference.md lists every method of a store, and no other", async () => {
  const methods = new Set(
    [PostgresCircuitBreakerStore, InMemoryCircuitBreakerStore].flatMap(({ prototype }) =>
      Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor")
    ),
  );
  const listed = new Set((await firstCells("Methods of a store")).match(/(?<=`)\w+(?=\()/g));
  assertEquals([...listed].toSorted(), [...methods].toSorted());
});

Deno.test("docs/reference.md lists every entry point, and no other", async () => {
  const entries = Object.keys((await readManifest()).exports).map((entry) =>
    entry.replace(/^\.(?=\/)/, "")
  );
  const listed = (await firstCells("Entry points")).match(/(?<=`)[./a-z-]+(?=`)/g);
  assertEquals(listed?.toSorted(), entries.toSorted());
});
