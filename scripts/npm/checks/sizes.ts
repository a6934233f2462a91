/**
 * What programs that use the installed package weigh after a bundler: a Worker has a limit, and a cold
 * start reads all of it. The figures are those of esbuild, minified and compressed by `gzip -9`.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { gzipSync } from "node:zlib";
import { type Manifest, specifierOf } from "../manifest.ts";
import { ensure, type Result, resultOf } from "./report.ts";

/** A program that exports what its user imports. */
interface Program {
  readonly name: string;
  /** The names that it imports, by entry point. */
  readonly imports: Readonly<Record<string, readonly string[]>>;
  readonly maxBytes: number;
  /** Whether it talks to a database. */
  readonly hasSql?: boolean;
}

const STORE = ["PostgresCircuitBreakerStore", "migrate"];

/**
 * What is reached, and about 3 % more. A bound that a change passes asks for a look at what the change
 * brings along: `deno task build:npm` and esbuild's `--analyze` show it.
 */
const PROGRAMS: readonly Program[] = [
  {
    name: "store, migrate and fromPostgresJs",
    imports: { ".": STORE, "./postgres-js": ["fromPostgresJs"] },
    maxBytes: 76_400,
    hasSql: true,
  },
  {
    name: "store, migrate and fromNodePostgres",
    imports: { ".": STORE, "./node-postgres": ["fromNodePostgres"] },
    maxBytes: 75_300,
    hasSql: true,
  },
  {
    name: "store alone",
    imports: { ".": ["PostgresCircuitBreakerStore"] },
    maxBytes: 63_000,
    hasSql: true,
  },
  {
    name: "CircuitBreaker and InMemoryCircuitBreakerStore",
    imports: { ".": ["CircuitBreaker", "InMemoryCircuitBreakerStore"] },
    maxBytes: 22_000,
  },
  { name: "CircuitBreaker", imports: { ".": ["CircuitBreaker"] }, maxBytes: 7400 },
  { name: "CircuitOpenError", imports: { ".": ["CircuitOpenError"] }, maxBytes: 450 },
];

const SQL = /pg_catalog|\bselect\b[^;]{0,80}\bfrom\b|\bnot null\b/;

/** Bundles programs in a project that has the package, and prints one line of what they weigh. */
export async function checkSizes(manifest: Manifest, project: string): Promise<Result[]> {
  try {
    const shown: string[] = [];
    const results: Result[] = [];
    for (const program of PROGRAMS) {
      const { name, maxBytes, hasSql = false } = program;
      results.push(
        await resultOf(`${name} weighs at most ${maxBytes} bytes`, async () => {
          const script = await bundle(sourceOf(program, manifest), project);
          const bytes = gzipSync(script, { level: 9 }).length;
          shown.push(`${name} ${kilobytes(bytes)} (${kilobytes(script.length)} minified)`);
          ensure(bytes <= maxBytes, `received ${bytes} bytes`);
          ensure(
            SQL.test(new TextDecoder().decode(script)) === hasSql,
            hasSql ? "its SQL is not found" : "it has SQL",
          );
        }),
      );
    }
    console.log(`Bundles, minified and compressed: ${shown.join(", ")}`);
    return results;
  } finally {
    await stop();
  }
}

function sourceOf({ imports }: Program, manifest: Manifest): string {
  return Object.entries(imports)
    .map(([entry, names]) =>
      `export { ${names.join(", ")} } from ${JSON.stringify(specifierOf(manifest, entry))};\n`
    )
    .join("");
}

async function bundle(source: string, project: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: project },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0]!.contents;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
