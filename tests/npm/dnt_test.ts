import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { dntOptions, TESTS } from "../../scripts/npm/emit_dnt.ts";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { closureOf } from "../../scripts/npm/modules.ts";
import { specify } from "../../scripts/npm/specification.ts";
import { ROOT } from "../../scripts/workspace.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";

// Not a file, because a check of all files would include it.
const OPTIONS = `
import type { BuildOptions } from "@deno/dnt";
import type { DntOptions } from "./scripts/npm/emit_dnt.ts";

export const accept = (options: DntOptions): BuildOptions => options;
// @ts-expect-error The types of dnt are known, not any.
export const refuse: BuildOptions = { entryPoints: 1 };
`;

Deno.test("dntOptions() names every entry point of deno.json, by files that there are", async () => {
  const manifest = await readManifest();
  const specification = await specify(manifest);
  const { entryPoints, rootTestDir, testPattern } = dntOptions({
    manifest,
    specification,
    folder: "/nowhere",
  });
  assertEquals(entryPoints.map(({ name }) => name), Object.keys(manifest.exports));
  for (const path of [...entryPoints.map((it) => it.path), rootTestDir + testPattern]) {
    assert((await Deno.stat(path)).isFile, path);
  }
});

Deno.test("the tests that dnt runs on Node use nothing of Deno but Deno.test", async () => {
  for (const path of await closureOf(ROOT, [TESTS])) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    const names = [...source.matchAll(/\bDeno\.(\w+)/g)].map(([, name]) => name);
    assertEquals(names.filter((name) => name !== "test"), [], path);
  }
});

Deno.test({
  name: `DntOptions are options of dnt${REACHABLE ? "" : " (ignored: JSR is not reachable)"}`,
  ignore: !REACHABLE,
  async fn() {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-lock", "--check", "-"],
      cwd: fileURLToPath(ROOT),
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const [{ success, stderr }] = await Promise.all([
      child.output(),
      ReadableStream.from([new TextEncoder().encode(OPTIONS)]).pipeTo(child.stdin),
    ]);
    assert(success, new TextDecoder().decode(stderr));
  },
});
