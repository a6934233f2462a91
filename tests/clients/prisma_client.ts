import { PrismaPg } from "@prisma/adapter-pg";
import { getPrismaClient } from "@prisma/client/runtime/client.js";
import * as queryCompiler from "@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs";
import { wasm } from "@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs";

const CLIENT_VERSION = "7.10.0";

/**
 * A PrismaClient without models, on a pool of connections. Prisma's command line writes such a class for a
 * schema; its statements, its errors and its driver are those of the package.
 */
export function openPrisma(connectionString: string, max: number): PrismaClient {
  const Client = getPrismaClient({
    previewFeatures: [],
    clientVersion: CLIENT_VERSION,
    engineVersion: CLIENT_VERSION,
    activeProvider: "postgresql",
    inlineSchema: 'datasource db {\n  provider = "postgresql"\n}\n',
    runtimeDataModel: { models: {}, enums: {}, types: {} },
    // No input, no output, no root.
    parameterizationSchema: { strings: [], graph: "AAAA" },
    compilerWasm: {
      getRuntime: () => Promise.resolve(queryCompiler),
      getQueryCompilerWasmModule: () =>
        Promise.resolve(new WebAssembly.Module(Uint8Array.fromBase64(wasm))),
      importName: "./query_compiler_fast_bg.js",
    },
  });
  return new Client({ adapter: new PrismaPg({ connectionString, max }) });
}

/** The part of a PrismaClient that the tests need. */
export interface PrismaClient {
  $queryRawUnsafe(text: string, ...params: unknown[]): Promise<unknown>;
  $disconnect(): Promise<void>;
}
