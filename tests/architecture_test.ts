import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);
const MAX_LINES = 355;

/**
 * The floors from the ground up. A module may import from its own floor and from those below it. The
 * ground is what lies directly in `src/`, apart from the stores: the words that all floors share.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["ground"],
  ["time", "options", "adapters"],
  ["edge"],
  ["ports"],
  ["rules"],
  // Neighbours that do not know each other.
  ["postgres", "outage", "cache", "quorum", "feed", "admission", "metrics"],
  // A breaker and a dashboard know no store but by what they need of one.
  ["stores", "breaker", "dashboard"],
  // Frameworks, each behind an entry point of its own.
  ["web"],
  ["mod.ts", "cli"],
];

const STORES: readonly string[] = [
  "src/store.ts",
  "src/memory_store.ts",
  "src/assemble_store.ts",
  "src/store_runtime.ts",
];

/** What a floor leaves alone although it lies below. */
const MAY_NOT_IMPORT: Record<string, readonly string[]> = {
  stores: ["adapters"],
  breaker: [
    ...["adapters", "ports", "rules", "postgres", "outage", "cache", "quorum", "feed", "admission"],
    "metrics",
  ],
  web: [
    ...["stores", "time", "options", "adapters", "ports", "rules", "edge", "metrics"],
    ...["postgres", "outage", "cache", "quorum", "feed", "admission", "dashboard"],
  ],
  dashboard: [
    ...["adapters", "ports", "rules", "postgres", "outage", "cache", "quorum", "feed", "admission"],
    ...["edge", "metrics", "time", "stores", "breaker"],
  ],
  "mod.ts": ["adapters", "time", "ports", "metrics", "dashboard", "web"],
};

/** Imports between neighbours that are allowed all the same. */
const ALSO_IMPORTS: Record<string, readonly string[]> = { adapters: ["time", "options"] };

/** The floor that is a program: it uses modules of Node, which all runtimes have, and loads a driver. */
const PROGRAM = "cli";
const MODULES_OF_PROGRAM = /^(node:[a-z]+|\(computed\))$/;
const NAMES_OF_PROGRAM: readonly string[] = ["process", "Bun"];

/** Names that exist on some runtimes only. */
const RUNTIME_NAMES: readonly string[] = ["Deno", "process", "Buffer", "Bun", "require"];

/** Statements that make up a module without logic. */
const EXPORTS: readonly string[] = ["ExportNamedDeclaration", "ExportAllDeclaration"];

interface Facts {
  imports: string[];
  runtimeNames: string[];
  statements: string[];
}

/** What a module imports, names and consists of, according to Deno's own parser. */
function factsOf(path: string, source: string): Facts {
  const facts: Facts = { imports: [], runtimeNames: [], statements: [] };
  const add = (specifier: string) => facts.imports.push(specifier);
  const plugin: Deno.lint.Plugin = {
    name: "architecture",
    rules: {
      facts: {
        create: () => ({
          Program(node) {
            facts.statements.push(...node.body.map((each) => each.type));
          },
          ImportDeclaration: (node) => add(node.source.value),
          ExportAllDeclaration: (node) => add(node.source.value),
          ExportNamedDeclaration(node) {
            if (node.source) add(node.source.value);
            if (node.declaration) facts.statements.push(node.declaration.type);
          },
          ImportExpression(node) {
            add(node.source.type === "Literal" ? String(node.source.value) : "(computed)");
          },
          TSImportType: () => add("import() in a type"),
          Identifier(node) {
            if (RUNTIME_NAMES.includes(node.name)) facts.runtimeNames.push(node.name);
          },
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, path, source);
  return facts;
}

/** The floor that a path below the root stands on. */
function floorOf(path: string): string {
  if (path === "mod.ts") return path;
  if (path === "src/ports.ts") return "ports";
  if (STORES.includes(path)) return "stores";
  const folder = /^src\/([a-z]+)\/(statements\/|migration\/|browser\/|commands\/|doctor\/)?[^/]+$/
    .exec(path)
    ?.[1];
  if (folder !== undefined) return FLOORS.some((floor) => floor.includes(folder)) ? folder : "";
  return /^src\/[^/]+$/.test(path) ? "ground" : "";
}

function mayImport(floor: string, other: string): boolean {
  if (floor === other) return true;
  const level = (name: string) => FLOORS.findIndex((each) => each.includes(name));
  if (ALSO_IMPORTS[floor]?.includes(other)) return true;
  return level(other) !== -1 && level(other) < level(floor) &&
    !MAY_NOT_IMPORT[floor]?.includes(other);
}

/** Everything in which a module breaks the house rules. */
function violations(path: string, source: string): string[] {
  const { imports, runtimeNames, statements } = factsOf(path, source);
  const floor = floorOf(path);
  const found: string[] = floor === "" ? [`${path} stands on no floor`] : [];
  for (const specifier of imports) {
    if (floor === PROGRAM && MODULES_OF_PROGRAM.test(specifier)) continue;
    if (!/^\.\.?\//.test(specifier)) {
      found.push(`${path} imports ${specifier}, which is not a file beside it`);
      continue;
    }
    const target = new URL(specifier, new URL(path, ROOT)).href.slice(ROOT.href.length);
    const below = floorOf(target);
    if (!mayImport(floor, below)) {
      found.push(`${path} (${floor}) imports ${target} (${below}), which is not below it`);
    }
  }
  for (const name of runtimeNames) {
    if (floor === PROGRAM && NAMES_OF_PROGRAM.includes(name)) continue;
    found.push(`${path} uses ${name}`);
  }
  if (path === "mod.ts") {
    for (const type of statements) {
      if (!EXPORTS.includes(type)) found.push(`${path} holds logic: ${type}`);
    }
  }
  const lines = source.split("\n").length;
  if (lines > MAX_LINES) found.push(`${path} has ${lines} lines`);
  return found;
}

/** The modules that the library consists of, as paths below the root. */
async function modules(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (folder: string) => {
    for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
      const path = folder + entry.name;
      if (entry.isDirectory) await visit(path + "/");
      else if (path.endsWith(".ts")) found.set(path, await read(path));
    }
  };
  await visit("src/");
  return found.set("mod.ts", await read("mod.ts"));
}

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

Deno.test("imports point downwards, and src/ runs on every runtime without dependencies", async () => {
  const found = await modules();
  assert(found.has("src/store.ts") && found.has("src/types.ts"), "src/ was not found");
  assertEquals([...found].flatMap(([path, source]) => violations(path, source)), []);
});

Deno.test("no module imports itself through others", async () => {
  const found = await modules();
  const graph = new Map([...found].map(([path, source]) => [
    path,
    factsOf(path, source).imports.map((specifier) =>
      new URL(specifier, new URL(path, ROOT)).href.slice(ROOT.href.length)
    ),
  ]));
  assertEquals([...graph.keys()].filter((path) => reaches(graph, path, path)), []);
});

Deno.test("source files have snake_case names, and so have their tests", async () => {
  const names = [...(await modules()).keys()];
  assertEquals(names.filter((path) => !/^(src\/)?([a-z_]+\/){0,2}[a-z0-9_]+\.ts$/.test(path)), []);
});

Deno.test("every rule of this test can fail", () => {
  const broken: [path: string, source: string][] = [
    ["src/types.ts", 'import { a } from "./store.ts";'],
    ["src/types.ts", 'export * from "./time/clock_offset.ts";'],
    ["src/types.ts", 'type A = import("./store.ts").A;'],
    ["src/time/clock_offset.ts", 'import type { A } from "../postgres/schema.ts";'],
    ["src/time/clock_offset.ts", 'export { A } from "../../mod.ts";'],
    ["src/time/clock_offset.ts", 'import { A } from "../../tests/support/clients.ts";'],
    ["src/postgres/schema.ts", 'import "../outage/guard.ts";'],
    ["src/postgres/schema.ts", 'await import("../cache/entries.ts");'],
    ["src/adapters/pglite.ts", 'import { A } from "../store.ts";'],
    ["src/store.ts", 'import { A } from "./adapters/pglite.ts";'],
    ["src/store.ts", 'import { readFile } from "node:fs";'],
    ["src/store.ts", 'import postgres from "npm:postgres";'],
    ["src/store.ts", 'import { assert } from "@std/assert";'],
    ["src/store.ts", "const name = './a.ts'; await import(name);"],
    ["src/store.ts", 'import { run } from "./cli/run.ts";'],
    ["src/cli/run.ts", "Deno.exit();"],
    ["src/cli/run.ts", 'import postgres from "npm:postgres";'],
    ["src/cli/run.ts", 'import { A } from "../../mod.ts";'],
    ["mod.ts", 'export { A } from "./src/cli/run.ts";'],
    ["src/store.ts", "Deno.exit();"],
    ["src/store.ts", "const text = `at ${process.pid}`;"],
    ["src/store.ts", "globalThis.Buffer.from('a');"],
    ["src/store.ts", "type A = Buffer;"],
    ["src/store.ts", 'const fs = require("fs");'],
    ["src/store.ts", "\n".repeat(MAX_LINES)],
    ["mod.ts", "const a = 1;"],
    ["mod.ts", "export const a = 1;"],
    ["mod.ts", "export function a() {}"],
    ["mod.ts", 'import "./src/store.ts";'],
    ["mod.ts", 'export { A } from "./src/adapters/pglite.ts";'],
    ["mod.ts", 'export { A } from "./src/metrics/opentelemetry.ts";'],
    ["src/metrics/tally.ts", 'import { A } from "../admission/gate.ts";'],
    ["src/metrics/tally.ts", 'import { A } from "npm:prom-client";'],
  ];
  for (const [path, source] of broken) {
    assertEquals(violations(path, source).length, 1, `${path}: ${source.trim()}`);
  }
  const allowed: [path: string, source: string][] = [
    [
      "src/store.ts",
      'import { A } from "./time/clock_offset.ts";\nimport { B } from "./types.ts";',
    ],
    [
      "src/cli/doctor/run.ts",
      'import { A } from "node:util";\nawait import(name);\nprocess.exit();\n' +
      'import { B } from "../../store.ts";',
    ],
    ["src/store.ts", "// Deno, process and Buffer: import a from 'npm:a'"],
    ["src/store.ts", "/* Deno */ const a = 'Deno', b = `process`, c = /Buffer/;"],
    [
      "src/time/clock_offset.ts",
      'import { A } from "../types.ts";\nexport * from "./deadline.ts";',
    ],
    [
      "mod.ts",
      '/** Deno */\nexport { A } from "./src/store.ts";\nexport type * from "./src/types.ts";',
    ],
  ];
  for (const [path, source] of allowed) assertEquals(violations(path, source), []);
  const graph = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", ["a"]], ["d", []]]);
  assertEquals([...graph.keys()].filter((path) => reaches(graph, path, path)), ["a", "b", "c"]);
});

function reaches(graph: Map<string, string[]>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const waiting = [...graph.get(from) ?? []];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (path === to) return true;
    if (seen.has(path)) continue;
    seen.add(path);
    waiting.push(...graph.get(path) ?? []);
  }
  return false;
}
