/**
 * The program that runs under Bun: the contract and the conformance suite, on Bun's own driver and a
 * real server. It prints one line of JSON for each test. The database is its first argument.
 *
 * @module
 */

import process from "node:process";
import { type BunSqlLike, fromBunSql } from "../../../src/adapters/bun_sql.ts";
import { conformance } from "../../conformance/suite.ts";
import { sqlBackend } from "../../conformance/sql_backend.ts";
import { adapterContract } from "../contract.ts";
import type { BunTestResult } from "./result.ts";

// Bun's own types would replace those of the web platform in all files that are checked with this.
declare const Bun: {
  SQL: new (options: { url: string; max: number; prepare?: boolean }) => BunSqlLike & {
    close(): Promise<void>;
  };
};

const url = process.argv[2] ?? "";

const cases: { name: string; fn: () => void | Promise<void> }[] = [];
const runner = {
  test: (name: string, fn: () => void | Promise<void>) => void cases.push({ name, fn }),
};

for (const prepare of [true, false]) {
  adapterContract(runner, {
    name: `Bun.SQL with prepare ${prepare}`,
    prepares: prepare,
    reconnects: true,
    open(max) {
      const sql = new Bun.SQL({ url, max, prepare });
      return Promise.resolve({
        client: fromBunSql(sql),
        [Symbol.asyncDispose]: () => sql.close(),
      });
    },
  });
}

const sql = new Bun.SQL({ url, max: 4 });
conformance(runner, sqlBackend("Bun.SQL", fromBunSql(sql)));

for (const { name, fn } of cases) {
  const result: BunTestResult = { name };
  try {
    await fn();
  } catch (error) {
    result.failure = error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  }
  console.log(JSON.stringify(result));
}
await sql.close();
process.exit(0);
