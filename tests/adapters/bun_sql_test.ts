import { assert, assertStrictEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { fromBunSql } from "../../src/adapters/bun_sql.ts";
import { createDatabase } from "../support/database.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";
import type { BunTestResult } from "./bun/result.ts";

const ROOT = fileURLToPath(import.meta.resolve("../.."));
const PROGRAM = fileURLToPath(import.meta.resolve("./bun/run.ts"));

/** The first of these that runs: what `BUN` names, the one on the path, the one npm has. */
const CANDIDATES = [
  ...Deno.env.get("BUN") ? [[Deno.env.get("BUN")!]] : [],
  ["bun"],
  ["npx", "-y", "bun@1.4.5"],
];

const bun = await findBun();

Deno.test({
  name: `fromBunSql keeps the contract and conforms under Bun${
    bun ? "" : " (ignored: there is no Bun, and none from npm)"
  }`,
  ignore: bun === undefined,
  async fn(t) {
    await using folder = await GuardedFolder.create();
    await using database = await createDatabase();
    const script = `${folder.path}/run.js`;
    await bundle(folder.path, script);
    const [command, ...args] = bun!;
    const child = await folder.spawn(command!, {
      args: [...args, script, database.url],
      cwd: folder.path,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    const { success, stdout, stderr } = await child.output();
    await folder.forget();
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
    for (const line of lines) {
      const { name, failure } = JSON.parse(line) as BunTestResult;
      await t.step(name, () => assert(failure === undefined, failure));
    }
    assert(success && lines.length > 0, new TextDecoder().decode(stderr));
  },
});

Deno.test("fromBunSql passes the driver's error on", async () => {
  const thrown = Object.assign(new Error("from the driver"), { errno: "40001" });
  const client = fromBunSql({ unsafe: () => Promise.reject(thrown) });
  assertStrictEquals(await client.query("select 1").catch((error) => error), thrown);
});

async function findBun(): Promise<string[] | undefined> {
  for (const [command, ...args] of CANDIDATES) {
    try {
      const { success } = await new Deno.Command(command!, {
        args: [...args, "--version"],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return [command!, ...args];
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Makes one file for Bun, in which `@std/assert` is what it is for this test. */
async function bundle(folder: string, script: string): Promise<void> {
  const importMap = `${folder}/import_map.json`;
  const imports = { "@std/assert": import.meta.resolve("@std/assert") };
  await Deno.writeTextFile(importMap, JSON.stringify({ imports }));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--no-lock", "--import-map", importMap, "-o", script, PROGRAM],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}
