import { PGlite } from "@electric-sql/pglite";
import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { failureOf } from "../conformance/session.ts";
import { createDatabase } from "../support/database.ts";
import { isStoreUnavailableError } from "../../src/errors.ts";
import { isMisuse } from "../../src/postgres/driver_failure.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { storeError } from "../../src/postgres/store_error.ts";

const TABLE = parseTableName("test", "circuits");

/** An error as a driver makes it. */
function failure(message: string, properties: object = {}): Error {
  return Object.assign(new Error(message), properties);
}

const OUTAGES: readonly unknown[] = [
  ...["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"]
    .map((code) => failure(`connect ${code}`, { code })),
  ...["CONNECTION_CLOSED", "CONNECTION_ENDED", "CONNECT_TIMEOUT", "CONNECTION_DESTROYED"]
    .map((code) => failure(`write ${code} localhost:5432`, { code })),
  ...["CONNECTION_CLOSED", "CONNECTION_TIMEOUT", "CONNECTION_FAILED", "IDLE_TIMEOUT"]
    .map((code) => failure("Failed", { code: `ERR_POSTGRES_${code}` })),
  ...[
    "Connection terminated",
    "Connection terminated unexpectedly",
    "Connection terminated due to connection timeout",
    "timeout exceeded when trying to connect",
    "timeout expired",
    "Query read timeout",
    "Client has encountered a connection error and is not queryable",
    "Client was closed and is not queryable",
    "Cannot use a pool after calling end on the pool",
    "The server does not support SSL connections",
    "The session was terminated unexpectedly",
    "PGlite is closed",
    "PGlite is closing",
    "Knex: Timeout acquiring a connection. The pool is probably full.",
  ].map((message) => failure(message)),
  ...["ConnectionRefused", "ConnectionReset", "BrokenPipe", "UnexpectedEof", "Interrupted"]
    .map((name) => failure("os error", { name })),
  new Deno.errors.ConnectionRefused("Connection refused (os error 111)"),
  new Deno.errors.BrokenPipe("Broken pipe (os error 32)"),
  failure("", { name: "ConnectionError" }),
  new AggregateError([failure("connect ECONNREFUSED ::1:5432", { code: "ECONNREFUSED" })], ""),
  // Drivers over HTTP report a connection that failed as a TypeError.
  new TypeError("fetch failed", {
    cause: failure("other side closed", { code: "UND_ERR_SOCKET" }),
  }),
  new TypeError("error sending request for url (https://db.example/sql)"),
  new TypeError("error reading a body from connection"),
  failure("Error connecting to database", { cause: new TypeError("fetch failed") }),
];

const MISTAKES: readonly unknown[] = [
  new TypeError("Cannot read properties of undefined (reading 'rows')"),
  new TypeError("client.run is not a function"),
  new RangeError("Invalid array length"),
  new ReferenceError("sql is not defined"),
  new SyntaxError("Unexpected token"),
  failure("Expected 1 bindings, saw 0"),
  failure("Undefined binding(s) detected when compiling RAW. Undefined column(s): [0]"),
  failure("db.query is not a function"),
  failure("Max number of parameters (65534) exceeded", { code: "MAX_PARAMETERS_EXCEEDED" }),
  failure("Undefined values are not allowed", { code: "UNDEFINED_VALUE" }),
  failure("Query not called as a tagged template literal", { code: "NOT_TAGGED_CALL" }),
  failure("Query not called as a tagged template", { code: "ERR_POSTGRES_NOT_TAGGED_CALL" }),
  failure("Query values must be an array"),
  failure("A query must have either text or a name. Supplying neither is unsupported."),
  failure("Prepared statements must be unique - 'a' was used for a different statement"),
  failure("Query failed", { cause: new TypeError("values.map is not a function") }),
];

Deno.test("isMisuse is false for a failed connection, thrown or rejected", () => {
  for (const cause of OUTAGES) {
    for (const isThrown of [false, true]) {
      assertEquals(isMisuse(cause, isThrown), false, String(cause));
    }
    assert(isStoreUnavailableError(storeError(cause, TABLE, "read circuit")), String(cause));
  }
});

Deno.test("isMisuse is true for a mistake in the wiring, thrown or rejected", () => {
  for (const cause of MISTAKES) {
    for (const isThrown of [false, true]) {
      assertEquals(isMisuse(cause, isThrown), true, String(cause));
    }
    const error = storeError(cause, TABLE, "read circuit");
    assertEquals(error.name, "CircuitBreakerStoreError");
    assertEquals(error.cause, cause);
    assert(error.message.includes('"client" must send the text'), error.message);
  }
});

Deno.test("isMisuse is true for an unknown error that is thrown, and false for one that is rejected", () => {
  for (const cause of [failure("something else"), failure(""), "text", undefined, { code: 7 }]) {
    assertEquals([isMisuse(cause, false), isMisuse(cause, true)], [false, true], String(cause));
  }
  const thrown = storeError(failure("not initialised"), TABLE, "read circuit", {
    isThrown: true,
  });
  assertEquals(thrown.name, "CircuitBreakerStoreError");
});

Deno.test("a connection that its program ended is an outage only where calls share connections", () => {
  for (
    const cause of [
      failure("Client was closed and is not queryable"),
      failure("Connection terminated"),
      failure("Cannot use a pool after calling end on the pool"),
      failure("write CONNECTION_ENDED localhost:5432", { code: "CONNECTION_ENDED" }),
    ]
  ) {
    assert(isStoreUnavailableError(storeError(cause, TABLE, "read circuit")), String(cause));
    const error = storeError(cause, TABLE, "read circuit", { isPerCall: true });
    assertEquals(error.name, "CircuitBreakerStoreError");
  }
  for (const message of ["Connection terminated unexpectedly", "connect ECONNREFUSED"]) {
    const error = storeError(failure(message), TABLE, "read circuit", { isPerCall: true });
    assert(isStoreUnavailableError(error), message);
  }
});

Deno.test("isMisuse follows a SQLSTATE before the message", () => {
  const cause = failure("fn is not a function", { code: "57P01" });
  assert(isStoreUnavailableError(storeError(cause, TABLE, "read circuit", { isThrown: true })));
});

Deno.test("isMisuse ends on causes that form a circle", () => {
  const cause = failure("something else");
  cause.cause = cause;
  assertEquals(isMisuse(cause, false), false);
});

Deno.test("isMisuse is false for failed connections of real drivers", async () => {
  const nowhere = "postgres://user@127.0.0.1:1/app";
  const closed = await PGlite.create();
  await closed.close();
  const pool = new pg.Pool({ connectionString: nowhere });
  const ended = new pg.Pool();
  await ended.end();
  const sql = postgres(nowhere);
  const over = postgres(nowhere);
  await over.end();
  const failures: Record<string, () => unknown> = {
    "pg, refused": () => pool.query("select 1"),
    "pg, ended": () => ended.query("select 1"),
    "pg, client": () => new pg.Client(nowhere).connect(),
    "postgres.js, refused": () => sql.unsafe("select 1"),
    "postgres.js, ended": () => over.unsafe("select 1"),
    "PGlite, closed": () => closed.query("select 1"),
    "Deno": () => Deno.connect({ hostname: "127.0.0.1", port: 1 }),
  };
  for (const [name, call] of Object.entries(failures)) {
    const cause = await failureOf(call);
    assertEquals(
      [isMisuse(cause, false), isMisuse(cause, true)],
      [false, false],
      `${name}: ${cause}`,
    );
  }
  await pool.end();
  await sql.end({ timeout: 0 });
});

Deno.test("isMisuse is false for terminated connections and deadlines of real drivers", async () => {
  await using database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1, query_timeout: 50 });
  pool.on("error", () => {});
  const client = await pool.connect();
  client.on("error", () => {});
  const failures = [await failureOf(() => client.query("select pg_sleep(5)"))];
  const pid = "select pg_backend_pid() as pid";
  const admin = postgres(database.url, { max: 1 });
  const fresh = new pg.Client(database.url);
  fresh.on("error", () => {});
  await fresh.connect();
  const { rows } = await fresh.query(pid);
  const gone = new Promise((resolve) => fresh.once("end", resolve));
  await admin`select pg_terminate_backend(${rows[0].pid})`;
  await gone;
  failures.push(await failureOf(() => fresh.query("select 1")));
  for (const cause of failures) {
    assertEquals([isMisuse(cause, false), isMisuse(cause, true)], [false, false], String(cause));
  }
  client.release(true);
  await pool.end();
  await admin.end();
});

Deno.test("isMisuse is true for a wrong statement or parameter with real drivers", async () => {
  await using database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const sql = postgres(database.url, { max: 1, fetch_types: false });
  const failures: Record<string, () => unknown> = {
    "pg, no text": () => pool.query({} as pg.QueryConfig),
    "pg, values": () => pool.query("select $1", "x" as never),
    "postgres.js, undefined": () => sql.unsafe("select $1::text", [undefined as never]),
    "postgres.js, function": () => sql("select 1" as never).then(() => {}),
  };
  for (const [name, call] of Object.entries(failures)) {
    const cause = await failureOf(call);
    assertEquals(isMisuse(cause, false), true, `${name}: ${cause}`);
  }
  await pool.end();
  await sql.end();
});
