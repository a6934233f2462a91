import { assertEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { fromBunSql } from "../src/adapters/bun_sql.ts";
import { fromDenoPostgres } from "../src/adapters/deno_postgres.ts";
import { fromNodePostgres } from "../src/adapters/node_postgres.ts";
import { fromPglite } from "../src/adapters/pglite.ts";
import { fromPostgresJs } from "../src/adapters/postgres_js.ts";
import { RUN_ALONE, runAloneOf } from "../src/client_traits.ts";
import type { PostgresClient } from "../src/types.ts";
import { connect, createDatabase } from "./support/database.ts";

const query = () => Promise.resolve({ rows: [] });
/** Whether a statement may run alone on a client. */
function survives(client: PostgresClient): boolean {
  return runAloneOf(client) !== undefined;
}
const unsafe = () => Promise.resolve([]);

Deno.test("runAloneOf takes a client at its word, also one of a second copy of the package", () => {
  assertEquals(RUN_ALONE, Symbol.for("@circuit-breaker/postgres/run-alone"));
  const mark = (value: unknown): PostgresClient => ({ query, [RUN_ALONE]: value }) as never;
  assertEquals([query, false, true, undefined].map((value) => survives(mark(value))), [
    true,
    false,
    false,
    false,
  ]);
  assertEquals(survives({ query }), false);
});

Deno.test("runAloneOf holds for a pool of node-postgres while it has an error listener", () => {
  const pool = new pg.Pool();
  const clients = [pool, fromNodePostgres(pool)];
  assertEquals(clients.map(survives), [false, false]);
  const listener = () => {};
  pool.on("error", listener);
  assertEquals(clients.map(survives), [true, true]);
  pool.off("error", listener);
  assertEquals(clients.map(survives), [false, false]);
  const single = new pg.Client();
  single.on("error", listener);
  assertEquals([single, fromNodePostgres(single)].map(survives), [false, false]);
});

Deno.test("runAloneOf holds for pools of postgres.js that are proved to be safe", async () => {
  await using database = await createDatabase();
  const url = `${database.url}?max_pipeline=0`;
  await using sql = connect(url, { max: 2 });
  await using pipelining = connect(database.url);
  assertEquals(survives(fromPostgresJs(sql)), true);
  assertEquals(survives(fromPostgresJs(pipelining)), true);
  const reserved = await sql.reserve();
  assertEquals(survives(fromPostgresJs(reserved)), false);
  reserved.release();
  await pipelining.begin((inside) => {
    assertEquals(survives(fromPostgresJs(inside)), false);
    return [];
  });
  // What 3.4.8 and later have, and what releases up to 3.4.5 do not have.
  const later = postgres(url);
  Object.assign(later.options, { sslnegotiation: null });
  assertEquals(survives(fromPostgresJs(later)), false);
  const options = { max_pipeline: 0 };
  const earlier = { unsafe, options, reserve: () => new Promise(() => {}) };
  assertEquals(survives(fromPostgresJs(earlier)), false);
  assertEquals(survives(fromPostgresJs({ unsafe })), false);
});

Deno.test("runAloneOf holds for Bun's pools, not for what they reserve or begin", () => {
  const sql = { unsafe, options: { adapter: "postgres" } };
  const clients = [sql, { ...sql, release() {} }, { ...sql, savepoint() {} }, { unsafe }];
  assertEquals(clients.map((it) => survives(fromBunSql(it))), [true, false, false, false]);
});

Deno.test("runAloneOf holds for Deno Postgres with a factory only", () => {
  const pool = {
    size: 1,
    connect: () => Promise.reject(new Error()),
    end: () => Promise.resolve(),
  };
  assertEquals(survives(fromDenoPostgres(() => pool)), true);
  assertEquals(survives(fromDenoPostgres(pool)), false);
  assertEquals(survives(fromDenoPostgres({ queryObject: query })), false);
});

Deno.test("runAloneOf does not hold for PGlite", () => {
  const db = { query, exec: query };
  assertEquals(survives(fromPglite(db)), false);
  assertEquals(survives(db), false);
});
