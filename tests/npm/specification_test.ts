import { assert, assertEquals, assertRejects } from "@std/assert";
import { buildPackage, type Emit, filesIn } from "../../scripts/npm/build.ts";
import { emitWithDnt } from "../../scripts/npm/emit_dnt.ts";
import { emitWithTsc } from "../../scripts/npm/emit_tsc.ts";
import { readManifest, specifierOf } from "../../scripts/npm/manifest.ts";
import { type Conditions, specify } from "../../scripts/npm/specification.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";

Deno.test("specify() derives the entry points from deno.json, types first", async () => {
  const manifest = await readManifest();
  const { packageJson, files } = await specify(manifest);
  assertEquals([packageJson.name, packageJson.version], [manifest.name, manifest.version]);
  const { "./package.json": self, ...entries } = packageJson.exports;
  assertEquals(self, "./package.json");
  assertEquals(Object.keys(entries), Object.keys(manifest.exports));
  for (const conditions of Object.values(entries) as Conditions[]) {
    assertEquals(Object.keys(conditions), ["import", "require"]);
    for (const found of Object.values(conditions)) {
      assertEquals(Object.keys(found), ["types", "default"]);
      for (const path of Object.values<string>(found)) assert(files.includes(path.slice(2)), path);
    }
  }
  assertEquals(
    Object.keys((packageJson.typesVersions as { "*": object })["*"]).map((path) =>
      specifierOf(manifest, `./${path}`)
    ),
    Object.keys(manifest.exports).slice(1).map((entry) => specifierOf(manifest, entry)),
  );
});

Deno.test("specify() has everything that npm shows, and optional peers only", async () => {
  const { packageJson } = await specify(await readManifest());
  const shown = ["description", "keywords", "license", "repository", "bugs", "homepage", "engines"];
  for (const field of shown) assert(packageJson[field], field);
  assertEquals(packageJson.sideEffects, false);
  assertEquals(packageJson.dependencies, undefined);
  assertEquals(
    packageJson.peerDependenciesMeta,
    Object.fromEntries(
      Object.keys(packageJson.peerDependencies).map((name) => [name, { optional: true }]),
    ),
  );
});

Deno.test("specify() has peers that fit every version, since npm would refuse to install others", async () => {
  const { packageJson } = await specify(await readManifest());
  assertEquals(packageJson.peerDependencies, {
    "@electric-sql/pglite": "*",
    "@neondatabase/serverless": "*",
    "express": "*",
    "hono": "*",
    "pg": "*",
    "postgres": "*",
  });
});

Deno.test("specify() takes the modules that the entry points reach, and no tests", async () => {
  const { modules, files } = await specify(await readManifest());
  assert(modules.includes("mod.ts") && modules.includes("src/types.ts"));
  assertEquals(modules.filter((path) => !/^(mod\.ts|src\/.+\.ts)$/.test(path)), []);
  assertEquals(files.filter((path) => /test|\.map$/.test(path)), []);
});

/** What either compiler builds is what is specified, file by file. */
async function assertBuilds(emit: Emit): Promise<void> {
  await using folder = await GuardedFolder.create();
  const target = `${folder.path}/npm`;
  // What lay there before is gone afterwards.
  await Deno.mkdir(`${target}/esm/old`, { recursive: true });
  await Deno.writeTextFile(`${target}/esm/old/module.js`, "");
  const { files, packageJson } = await buildPackage(target, emit);
  assertEquals(await filesIn(target), files);
  const read = async (path: string) => JSON.parse(await Deno.readTextFile(`${target}/${path}`));
  assertEquals(await read("package.json"), JSON.parse(JSON.stringify(packageJson)));
  assertEquals(await read("esm/package.json"), { type: "module", sideEffects: false });
  assertEquals(await read("script/package.json"), { type: "commonjs", sideEffects: false });
}

Deno.test("emitWithTsc builds what is specified", () => assertBuilds(emitWithTsc));

Deno.test({
  name: `emitWithDnt builds what is specified${
    REACHABLE ? "" : " (ignored: JSR is not reachable)"
  }`,
  ignore: !REACHABLE,
  // dnt leaves resources open until the process ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => assertBuilds(emitWithDnt),
});

/** Builds with a compiler that leaves its work in another state, and returns the error's message. */
async function refusal(change: (folder: string) => Promise<void>): Promise<string> {
  await using folder = await GuardedFolder.create();
  const emit: Emit = async ({ specification, folder }) => {
    for (const path of specification.files) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, "");
    }
    await change(folder);
  };
  const { message } = await assertRejects(() => buildPackage(`${folder.path}/npm`, emit), Error);
  return message;
}

Deno.test("buildPackage() refuses a compiler that left a module out", async () => {
  assertEquals(
    await refusal((folder) => Deno.remove(`${folder}/script/mod.d.ts`)),
    "Cannot build the package: the compiler left out script/mod.d.ts",
  );
});

Deno.test("buildPackage() refuses a compiler that needs a module of its own", async () => {
  const message = await refusal(async (folder) => {
    await Deno.writeTextFile(`${folder}/esm/mod.js`, 'import "./polyfill.js";');
    await Deno.writeTextFile(`${folder}/esm/polyfill.js`, "");
    await Deno.writeTextFile(`${folder}/esm/unused.js`, "");
  });
  assertEquals(
    message,
    "Cannot build the package: the compiler added modules that the sources do not have, " +
      "received esm/polyfill.js",
  );
});
