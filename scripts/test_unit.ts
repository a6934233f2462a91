/**
 * `deno task test:unit [FLAGS]`: the tests that need neither a PostgreSQL server nor another program, which
 * are those that run on every system. Flags of `deno test` are passed on.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { closureOf } from "./npm/modules.ts";
import { openWorkspace, ROOT } from "./workspace.ts";

const NEEDS_SERVER = "tests/support/database.ts";
const STARTS_PROGRAMS = /\bDeno\.Command\b/;

/** The test files among `tests/` that need nothing but Deno, as sorted paths. */
export async function unitTests(): Promise<string[]> {
  const found: string[] = [];
  for (const path of await testFiles("tests/")) if (await needsNothing(path)) found.push(path);
  return found.toSorted();
}

async function needsNothing(path: string): Promise<boolean> {
  for (const module of await closureOf(ROOT, [path])) {
    if (module === NEEDS_SERVER) return false;
    if (STARTS_PROGRAMS.test(await Deno.readTextFile(new URL(module, ROOT)))) return false;
  }
  return true;
}

async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) found.push(...await testFiles(`${folder}${name}/`));
    else if (name.endsWith("_test.ts")) found.push(folder + name);
  }
  return found;
}

if (import.meta.main) {
  const workspace = await openWorkspace();
  if (workspace.notice) console.log(workspace.notice);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--allow-all", "--no-lock", ...Deno.args],
      ...[...workspace.flags, ...await unitTests()],
    ],
    cwd: fileURLToPath(ROOT),
    env: { JSR_REACHABLE: workspace.jsrReachable ? "1" : "0" },
    stdin: "null",
  }).spawn().status;
  Deno.exit(code);
}
