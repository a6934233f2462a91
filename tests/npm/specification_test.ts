import { assert, assertEquals } from "@std/assert";
import { readManifest, specifierOf } from "../../scripts/npm/manifest.ts";
import { type Conditions, specify } from "../../scripts/npm/specification.ts";

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
