import { PGlite } from "@electric-sql/pglite";
import { neon } from "@neondatabase/serverless";
import { assert, assertEquals, assertThrows } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { fromBunSql } from "../../src/adapters/bun_sql.ts";
import { fromDenoPostgres } from "../../src/adapters/deno_postgres.ts";
import { fromNeon } from "../../src/adapters/neon.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPglite } from "../../src/adapters/pglite.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

type Adapter = (driver: never, options?: never) => unknown;

const ADAPTERS: [prefix: string, adapter: Adapter][] = [
  ["Cannot wrap postgres.js: expected the sql function that postgres(url) returns", fromPostgresJs],
  [
    "Cannot wrap Deno Postgres: expected a function that makes a Pool, a Pool or a Client of " +
    "@db/postgres",
    fromDenoPostgres,
  ],
  ["Cannot wrap node-postgres: expected a Pool or a Client of pg", fromNodePostgres],
  ["Cannot wrap PGlite: expected a PGlite", fromPglite],
  [
    "Cannot wrap Neon: expected the function that neon(url) returns, of version 1.0 or later",
    fromNeon,
  ],
  ["Cannot wrap Bun.SQL: expected a SQL of Bun for PostgreSQL", fromBunSql],
];

const NEON_URL = "postgres://user:password@localhost/app";

// None of these opens a connection before its first statement.
const sql = postgres();
const pool = new pg.Pool();
const bun = Object.assign(() => {}, { unsafe() {}, options: { adapter: "postgres" } });
const mysql = Object.assign(() => {}, { unsafe() {}, options: { adapter: "mysql" } });
const denoClient = { connect() {}, queryObject() {} };

function messageFor(adapter: Adapter, driver: unknown, options?: unknown): string {
  return assertThrows(() => adapter(driver as never, options as never), TypeError).message;
}

Deno.test("adapters say what to pass instead of something that is no driver", () => {
  const received: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    ["postgres://user:password@localhost/app", "a string of 38 characters"],
    [5432, "a number"],
    [{}, "an object"],
    [Object.create(null), "an object"],
    [Promise.resolve(sql), "an instance of Promise"],
    [postgres, "a function"],
    [pg.Pool, "a function"],
    [PGlite, "a function"],
    [neon, "a function"],
  ];
  for (const [prefix, adapter] of ADAPTERS) {
    for (const [driver, description] of received) {
      assertEquals(messageFor(adapter, driver), `${prefix}, received ${description}`);
    }
  }
});

Deno.test("adapters name the adapter of the driver that they were given by mistake", () => {
  const query = { query() {} };
  const received: [unknown, Adapter | undefined, string][] = [
    [sql, fromPostgresJs, "the sql function of postgres.js (use fromPostgresJs)"],
    [pool, fromNodePostgres, "a node-postgres pool or client (use fromNodePostgres)"],
    [new pg.Client(), fromNodePostgres, "a node-postgres pool or client (use fromNodePostgres)"],
    [{ ...query, exec() {} }, fromPglite, "a PGlite (use fromPglite)"],
    [denoClient, fromDenoPostgres, "a Deno Postgres client (use fromDenoPostgres)"],
    [neon(NEON_URL), fromNeon, "the sql function of Neon (use fromNeon)"],
    [bun, fromBunSql, "Bun's SQL (use fromBunSql)"],
    [mysql, undefined, "Bun's SQL for mysql"],
    [query, undefined, "a PostgresClient, which needs no adapter"],
  ];
  for (const [driver, right, description] of received) {
    for (const [prefix, adapter] of ADAPTERS) {
      if (adapter === right) assert(adapter(driver as never));
      else assertEquals(messageFor(adapter, driver), `${prefix}, received ${description}`);
    }
  }
});

Deno.test('adapters take only a boolean for "prepare"', () => {
  const wrong: [unknown, string][] = [
    [0, "0"],
    [1, "1"],
    ["false", "a string of 5 characters"],
    [null, "null"],
  ];
  for (const [prepare, description] of wrong) {
    const received = `"prepare" must be a boolean, received ${description}`;
    assertEquals(
      messageFor(fromPostgresJs, sql, { prepare }),
      `Cannot wrap postgres.js: ${received}`,
    );
    assertEquals(
      messageFor(fromNodePostgres, pool, { prepare }),
      `Cannot wrap node-postgres: ${received}`,
    );
  }
  assert(fromPostgresJs(sql, { prepare: undefined }));
  assert(fromNodePostgres(pool, { prepare: undefined }));
});

Deno.test('fromNeon takes only milliseconds for "timeoutMs"', () => {
  const wrong: [unknown, string][] = [
    [{ timeoutMs: "1" }, '"timeoutMs" must be a number, received a string of 1 character'],
    [
      { timeoutMS: 1 },
      '"timeoutMs" must be spelt exactly so, received a similar name of 9 characters',
    ],
  ];
  for (const [options, message] of wrong) {
    assertEquals(messageFor(fromNeon, neon(NEON_URL), options), `Cannot wrap Neon: ${message}`);
  }
  assertThrows(
    () => fromNeon(neon(NEON_URL), { timeoutMs: 0 }),
    RangeError,
    'Cannot wrap Neon: "timeoutMs" must be a positive number of milliseconds, received 0',
  );
  assert(fromNeon(neon(NEON_URL), { timeoutMs: undefined }));
});

Deno.test("adapters refuse a misspelt option, and ignore what is not theirs", () => {
  for (
    const [driver, adapter, given] of [
      ["postgres.js", fromPostgresJs, sql],
      ["node-postgres", fromNodePostgres, pool],
    ] as [string, Adapter, unknown][]
  ) {
    assertEquals(
      messageFor(adapter, given, { prepar: false }),
      `Cannot wrap ${driver}: "prepare" must be spelt exactly so, ` +
        "received a similar name of 6 characters",
    );
    assertEquals(
      messageFor(adapter, given, null),
      `Cannot wrap ${driver}: "options" must be a plain object, received null`,
    );
    assert(adapter(given as never, { table: "circuits", max: 4 } as never));
  }
});

Deno.test("adapters show nothing that an object says of itself", () => {
  const secret = "postgres://user:hunter2@localhost/app";
  const liars = [
    { constructor: { name: secret } },
    { [Symbol.toStringTag]: secret },
    { unsafe() {}, options: { adapter: secret } },
    Object.create({ constructor: { name: secret } }),
  ];
  for (const [, adapter] of ADAPTERS) {
    for (const liar of liars) {
      const message = messageFor(adapter, liar);
      assert(!message.includes("hunter2"), message);
    }
  }
});
