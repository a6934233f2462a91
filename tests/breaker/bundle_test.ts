/** What a bundler makes of a program that uses a breaker over a store in memory. */

import { assert, assertEquals } from "@std/assert";
import * as esbuild from "esbuild";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** Bundles a program as from the npm package, which says of its modules that they have no side effects. */
async function bundle(program: string): Promise<{ text: string; modules: string[] }> {
  const { outputFiles, metafile } = await esbuild.build({
    stdin: { contents: program, resolveDir: fileURLToPath(ROOT), loader: "ts" },
    absWorkingDir: fileURLToPath(ROOT),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
    logLevel: "silent",
    plugins: [{
      name: "as the package says",
      setup(build) {
        build.onResolve({ filter: /^\.\.?\// }, ({ path, importer, resolveDir }) => ({
          path: fileURLToPath(
            new URL(path, `file://${importer === "<stdin>" ? `${resolveDir}/x` : importer}`),
          ),
          sideEffects: false,
        }));
      },
    }],
  });
  const [output] = Object.values(metafile.outputs);
  const modules = Object.entries(output!.inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  return { text: outputFiles[0]!.text, modules };
}

Deno.test({
  name: "a breaker over a store in memory brings no SQL with it",
  // esbuild's process belongs to its module.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    try {
      const small = await bundle(
        'export { CircuitBreaker, InMemoryCircuitBreakerStore } from "./mod.ts"',
      );
      assert(small.modules.includes("src/breaker/executor.ts"), "nothing was bundled");
      assertEquals(
        small.modules.filter((path) => /^src\/(postgres|cache|outage|quorum)\//.test(path)),
        [],
      );
      const sql = /pg_catalog|\bselect\b[^;]{0,80}\bfrom\b|\bnot null\b|::(text|bigint)/;
      assertEquals(sql.exec(small.text)?.[0], undefined);
      const all = await bundle('export * from "./mod.ts"');
      assert(sql.test(all.text), "SQL would not be found");
      assert(small.text.length < all.text.length / 2, `${small.text.length} characters`);
    } finally {
      await esbuild.stop();
    }
  },
});
