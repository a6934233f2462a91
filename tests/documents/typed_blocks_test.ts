/**
 * Checks the types of the code blocks that `deno test --doc` does not run, all in one program each as a
 * module of its own.
 */

import { assert, assertEquals } from "@std/assert";
import { openWorkspace, ROOT } from "../../scripts/workspace.ts";
import { codeBlocks, readPages } from "./code_blocks.ts";
import { CLOUDFLARE_WORKERS, DENO_POSTGRES } from "./stand_ins.ts";

/**
 * What a block may use without an import, because the page has introduced it. A block that declares one of
 * these names itself has its own.
 */
const INTRODUCED = `
import type * as library from "@circuit-breaker/postgres";
import type { dashboard as Dashboard } from "@circuit-breaker/postgres/dashboard";
import type { Hono } from "hono";
// @ts-types="@types/pg"
import type { Pool } from "pg";
import type {} from "bun-types";

declare global {
  const PostgresCircuitBreakerStore: typeof library.PostgresCircuitBreakerStore;
  const dashboard: typeof Dashboard;
  const client: library.PostgresClient;
  const store: library.PostgresCircuitBreakerStore;
  const breaker: library.CircuitBreaker;
  const app: Hono;
  const pool: Pool;
  const signal: AbortSignal;
}
`;

interface ImportMap {
  imports: Record<string, string>;
}

/** Packages whose types are packages of their own. */
const UNTYPED = /^(import (?!type ).* from "(pg|express)";)$/gm;

/** Mistakes that the check has to find, so that it is known to find them in the blocks. */
const MISTAKES: readonly string[] = [
  "stroe.list();",
  'await store.peek("payments", 1, 2);',
  'const state: number = (await store.getState("payments")).state;',
  'import { fromNothing } from "@circuit-breaker/postgres";',
  "new PostgresCircuitBreakerStore(client, { maxStalenessMs: true });",
  'import pg from "pg";\nnew pg.Pool({ max: "4" });',
];

/** What Deno reports of modules, by the name of the module that it is about. */
async function check(
  modules: ReadonlyMap<string, string>,
): Promise<[name: string, error: string][]> {
  const folder = await Deno.makeTempDir({ prefix: "circuit_breaker_blocks_" });
  try {
    const write = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      return new URL(`file://${folder}/${name}`).href;
    };
    const map = await importMap();
    const { imports } = map;
    const stoma = new URL("tests/support/stoma.ts", ROOT).href;
    imports["@homegrower-club/stoma"] = await write(
      "stoma.ts",
      `
import type { Stoma } from ${JSON.stringify(stoma)};
export declare const circuitBreaker: Stoma["circuitBreaker"];
export declare const createGateway: Stoma["createGateway"];
export declare const timeout: Stoma["timeout"];
`,
    );
    imports["cloudflare:workers"] = await write("workers.ts", CLOUDFLARE_WORKERS);
    imports["@db/postgres"] ??= await write("db_postgres.ts", DENO_POSTGRES);
    imports["bun"] = await write("bun.ts", `export { SQL } from "bun-types";`);
    await write("introduced.d.ts", INTRODUCED);
    await write("import_map.json", JSON.stringify(map));
    const files: string[] = [];
    for (const [name, text] of modules) {
      files.push(`${name}.ts`);
      const typed = text.replace(UNTYPED, '// @ts-types="@types/$2"\n$1');
      await write(
        `${name}.ts`,
        `/// <reference types="./introduced.d.ts" />\n${typed}\nexport {};\n`,
      );
    }
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--no-config", "--no-lock", "--import-map=import_map.json", ...files],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    if (success) return [];
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const errors = output.split(/^(?=TS\d+ \[ERROR\])/m).slice(1);
    if (errors.length === 0) return [["", output]];
    return errors.map((error) => [/at file:.*\/(\w+)\.ts:/.exec(error)?.[1] ?? "", error]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The imports of the tests, with absolute files. */
async function importMap(): Promise<ImportMap> {
  const [flag] = (await openWorkspace()).flags;
  if (flag !== undefined) return JSON.parse(decodeURIComponent(flag.slice(flag.indexOf(",") + 1)));
  const { name, imports, exports } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const own = Object.entries<string>(exports).map(([entry, path]) =>
    [name + entry.slice(1), new URL(path, ROOT).href] as const
  );
  return { imports: { ...imports, ...Object.fromEntries(own) } };
}

Deno.test("the code blocks that are not run have types that fit", async () => {
  const modules = new Map<string, string>();
  for (const [page, markdown] of await readPages(ROOT)) {
    for (const { info, line, text } of codeBlocks(page, markdown)) {
      if (info === "ts ignore") modules.set(`${page.replaceAll(/\W/g, "_")}_line_${line}`, text);
    }
  }
  assert(modules.size > 10, `found ${modules.size} in ${ROOT}`);
  const mistakes = MISTAKES.map((text, index) => [`mistake_${index}`, text] as const);
  const found = await check(new Map([...modules, ...mistakes]));
  assertEquals(found.filter(([name]) => !name.startsWith("mistake_")), []);
  for (const [mistake, text] of mistakes) {
    assert(found.some(([name]) => name === mistake), `it does not find ${text}`);
  }
});
