import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { ROOT } from "../../scripts/workspace.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";

async function docs(...args: string[]): Promise<{ code: number; errors: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-lock", "scripts/docs.ts", ...args],
    cwd: fileURLToPath(ROOT),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  return { code, errors: new TextDecoder().decode(stderr) };
}

Deno.test("deno task docs makes a page for every entry point", async () => {
  await using folder = await GuardedFolder.create();
  const { code, errors } = await docs(`--out=${folder.path}`);
  assertEquals(code, 0, errors);
  const { exports } = await readManifest();
  const page = async (path: string) => await Deno.readTextFile(`${folder.path}/${path}`);
  assert((await page("index.html")).includes("CircuitBreaker"));
  for (const entry of Object.keys(exports).slice(1)) {
    const name = entry.slice("./".length);
    assert((await page(`${name}/index.html`)).includes(name), entry);
  }
  assert((await page("~/CircuitBreaker.html")).includes("execute"));
});

Deno.test("deno task docs refuses other arguments", async () => {
  for (const args of [["--output=x"], ["--out="], ["--out=x", "y"]]) {
    const { code, errors } = await docs(...args);
    assertEquals([code, errors], [2, "Usage: deno task docs [--out=FOLDER]\n"]);
  }
});

Deno.test("git, the formatter and the linter leave the pages alone", async () => {
  const ignored = await Deno.readTextFile(new URL(".gitignore", ROOT));
  assert(ignored.split("\n").includes("/api/"));
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const { exclude } of [config, config.fmt, config.lint]) assert(exclude.includes("api/"));
});
