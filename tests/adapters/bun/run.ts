/**
 * The program that runs under Bun: the contract and the conformance suite, on Bun's own driver and a
 * real server. It prints one line of JSON for each test. The database is its first argument.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { type BunSqlLike, fromBunSql } from "../../../src/adapters/bun_sql.ts";
import { runAloneOf } from "../../../src/client_traits.ts";
import { conformance } from "../../conformance/suite.ts";
import { sqlBackend } from "../../conformance/sql_backend.ts";
import { adapterContract } from "../contract.ts";
import { Inbox, listeningContract, send } from "../listening.ts";
import { terminatingContract } from "../terminating.ts";
import type { BunTestResult } from "./result.ts";

// Bun's own types would replace those of the web platform in all files that are checked with this.
declare const Bun: {
  SQL: new (
    options: { url: string; max: number; prepare?: boolean; onclose?: () => void },
  ) => BunSqlLike & {
    close(): Promise<void>;
    reserve(): Promise<BunSqlLike & { release(): void }>;
    begin(body: (inside: BunSqlLike) => Promise<void>): Promise<void>;
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

listeningContract(runner, {
  name: "Bun.SQL",
  open() {
    const sql = new Bun.SQL({ url, max: 1 });
    return Promise.resolve({
      client: fromBunSql(sql),
      [Symbol.asyncDispose]: () => sql.close(),
    });
  },
});

terminatingContract(runner, {
  name: "Bun.SQL",
  // Bun sends statements on connections that have one.
  companions: 3,
  open(max) {
    const sql = new Bun.SQL({ url, max });
    return Promise.resolve({
      client: fromBunSql(sql),
      [Symbol.asyncDispose]: () => sql.close(),
    });
  },
});

runner.test("Bun.SQL: what is reserved or begun does not replace its session", async () => {
  const sql = new Bun.SQL({ url, max: 1 });
  assert(runAloneOf(fromBunSql(sql)) !== undefined);
  const reserved = await sql.reserve();
  assertEquals(runAloneOf(fromBunSql(reserved)), undefined);
  reserved.release();
  await sql.begin((inside) => {
    assertEquals(runAloneOf(fromBunSql(inside)), undefined);
    return Promise.resolve();
  });
  await sql.close();
});

runner.test("Bun.SQL: listen rejects where it cannot, and is absent where Bun is too old", async () => {
  const away = new Bun.SQL({ url: "postgres://postgres@127.0.0.1:1/nothing", max: 1 });
  await assertRejects(() => fromBunSql(away).listen!("news", () => {}));
  await away.close();
  await assertRejects(() => fromBunSql(away).listen!("news", () => {}));
  assert(!("listen" in fromBunSql({ unsafe: () => Promise.resolve([]) })));
});

runner.test("Bun.SQL: an idle connection that ends is not taken for a loss", async () => {
  let closed = 0;
  const sql = new Bun.SQL({ url, max: 1, onclose: () => void closed++ });
  const client = fromBunSql(sql);
  const inbox = await Inbox.open(client, "news");
  const end = "select pg_terminate_backend(pg_backend_pid())";
  await assertRejects(() => client.query(end));
  await send(client, "news", "still there").catch(() => send(client, "news", "still there"));
  await inbox.received("still there");
  assert(closed > 0 && !inbox.isLost);
  await inbox.unlisten();
  await sql.close();
});

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
