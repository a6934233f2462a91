import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  isCircuitBreakerStoreError,
  isSchemaError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "../mod.ts";
import { failureOf } from "./conformance/session.ts";
import { openNodePostgres, openPostgresJs } from "./support/clients.ts";
import { connect, createDatabase } from "./support/database.ts";
import { createRole } from "./support/role.ts";

const ORIGINAL_TABLE = `create table stoma_circuit_breakers (
  key text primary key,
  state text not null default 'closed',
  failure_count integer not null default 0,
  success_count integer not null default 0,
  last_failure_time bigint not null default 0,
  last_state_change bigint not null default 0
)`;

const CALLS: ((store: PostgresCircuitBreakerStore) => Promise<unknown>)[] = [
  (store) => store.getState("api"),
  (store) => store.recordSuccess("api"),
  (store) => store.recordFailure("api"),
  (store) => store.transition("api", "open"),
  (store) => store.transition("api", "closed"),
  (store) => store.peek("api"),
  (store) => store.peek(["api", "web"]),
  (store) => store.list(),
  (store) => store.history(),
  (store) => store.history({ since: 0 }),
  (store) => store.forceOpen("api"),
  (store) => store.release("api"),
];

Deno.test("every call on a missing table says to run migrate, through every driver", async (t) => {
  await using database = await createDatabase();
  const drivers = {
    "postgres.js": () => openPostgresJs(database.url, { max: 1 }),
    "node-postgres": () => openNodePostgres(database.url, { max: 1 }),
  };
  for (const [name, open] of Object.entries(drivers)) {
    await t.step(name, async () => {
      await using driver = await open();
      await using store = new PostgresCircuitBreakerStore(driver.client);
      for (const call of [...CALLS, () => store.reset("api")]) {
        const error = await failureOf(() => call(store));
        assert(isSchemaError(error), String(error));
        assert(isCircuitBreakerStoreError(error));
        assertEquals(error.sqlState, "42P01");
        assertMatch(error.message, /^Cannot [^:]+: .*stoma_circuit_breakers.*migrate/s);
        assertEquals((error.cause as { code: string }).code, "42P01");
      }
    });
  }
});

Deno.test("a missing schema says to run migrate or to create it", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await using store = new PostgresCircuitBreakerStore(driver.client, "nowhere.circuits");
  const error = await failureOf(() => store.getState("api"));
  assert(isSchemaError(error), String(error));
  assertStringIncludes(error.message, "nowhere");
});

Deno.test("the original's table says to run migrate, and works once it ran", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await driver.client.query(ORIGINAL_TABLE);
  await driver.client.query(
    "insert into stoma_circuit_breakers values ('api', 'open', 3, 2147483647, 1000, 2000)",
  );
  await using store = new PostgresCircuitBreakerStore(driver.client);
  const failed: unknown[] = [];
  for (const call of CALLS) {
    // A read needs no column that the original lacks, so it may work before the upgrade.
    await call(store).catch((error) => failed.push(error));
  }
  assert(failed.length > 0);
  for (const error of failed) {
    assert(isSchemaError(error), String(error));
    assertStringIncludes(error.message, "migrate");
  }
  await migrate(driver.client);
  const { failureCount, successCount } = await store.recordSuccess("api");
  assertEquals([failureCount, successCount], [3, 2_147_483_648]);
});

Deno.test("a connection that cannot be opened is reported with its cause", async () => {
  await using database = await createDatabase();
  const url = new URL(database.url);
  url.pathname = "/no_such_database";
  await using driver = await openPostgresJs(url.href, { max: 1 });
  await using store = new PostgresCircuitBreakerStore(driver.client);
  const error = await failureOf(() => store.recordFailure("api"));
  assert(isCircuitBreakerStoreError(error), String(error));
  assertEquals(error.name, "StoreUnavailableError");
  assertEquals(error.sqlState, "3D000");
  assert(error.cause instanceof Error);
});

Deno.test("constructor refuses what is not a client", async () => {
  const notClients: unknown[] = [undefined, null, "postgres://localhost", {}, () => {}, {
    query: "select 1",
  }];
  for (const client of notClients) {
    const error = await failureOf(() => new PostgresCircuitBreakerStore(client as PostgresClient));
    assert(error instanceof TypeError, String(error));
    assertMatch(error.message, /^Cannot create store: .+, received .+/s);
  }
});

Deno.test("constructor and migrate name fromPostgresJs when given a raw postgres.js sql", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url);
  const client = sql as unknown as PostgresClient;
  for (const call of [() => new PostgresCircuitBreakerStore(client), () => migrate(client)]) {
    const error = await failureOf(call);
    assert(error instanceof TypeError, String(error));
    assertStringIncludes(error.message, "fromPostgresJs");
  }
});

Deno.test("recordSuccess and getState name the column that a client renamed", async () => {
  await using database = await createDatabase();
  await using driver = await openNodePostgres(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore({
    async query(text, params) {
      const { rows } = await driver.client.query(text, params);
      return { rows: rows.map((row) => ({ CIRCUIT: row.circuit })) };
    },
  });
  for (const call of [() => store.recordSuccess("api"), () => store.getState("api")]) {
    const error = await failureOf(call);
    assert(isCircuitBreakerStoreError(error), String(error));
    assertMatch(error.message, /^Cannot read circuits: .*"circuit", received undefined.*"client"/);
  }
});

Deno.test("constructor refuses options that are misspelt or that it cannot use", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  const bad: [unknown, string][] = [
    [{ Now: Date.now }, "now"],
    [{ timeoutMS: 10 }, "timeoutMs"],
    [{ now: Date.now, maxCircuit: 1 }, "maxCircuits"],
    [{ now: 1000 }, "now"],
    [{ now: null }, "now"],
    [{ now: "Date.now" }, "now"],
    [null, "options"],
    ["now", "options"],
    [() => {}, "options"],
    [42, "options"],
  ];
  for (const [options, named] of bad) {
    const error = await failureOf(() =>
      new PostgresCircuitBreakerStore(driver.client, undefined, options as { now: () => number })
    );
    assert(error instanceof TypeError, `${named}: ${error}`);
    assertMatch(error.message, /^Cannot create store: /);
    assertStringIncludes(error.message, named);
  }
  new PostgresCircuitBreakerStore(driver.client, undefined, { now: undefined }).destroy();
  new PostgresCircuitBreakerStore(driver.client, undefined, {}).destroy();
});

Deno.test("constructor takes the table as argument, as option, or as both", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  const { client } = driver;
  await migrate(client);
  await migrate(client, "ops_circuits");
  const opened = [
    new PostgresCircuitBreakerStore(client, "ops_circuits"),
    new PostgresCircuitBreakerStore(client, { table: "ops_circuits" }),
    new PostgresCircuitBreakerStore(client, undefined, { table: "ops_circuits" }),
    new PostgresCircuitBreakerStore(client, "ops_circuits", { table: "ops_circuits" }),
    new PostgresCircuitBreakerStore(client, '"ops_circuits"', { table: "ops_circuits" }),
    new PostgresCircuitBreakerStore(client, "ops_circuits", { table: undefined }),
  ];
  for (const [index, store] of opened.entries()) {
    assertEquals((await store.recordFailure("api")).failureCount, index + 1);
  }
  const byDefault = [
    new PostgresCircuitBreakerStore(client),
    new PostgresCircuitBreakerStore(client, {}),
    new PostgresCircuitBreakerStore(client, { timeoutMs: 5000, table: undefined }),
    new PostgresCircuitBreakerStore(client, undefined, undefined),
  ];
  for (const [index, store] of byDefault.entries()) {
    assertEquals((await store.recordFailure("api")).failureCount, index + 1);
  }
});

Deno.test("constructor refuses two tables and two objects of options", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  const { client } = driver;
  const wrong: [type: typeof TypeError | typeof RangeError, call: () => unknown][] = [
    [TypeError, () => new PostgresCircuitBreakerStore(client, "one", { table: "two" })],
    [TypeError, () => new PostgresCircuitBreakerStore(client, "one", { table: "ONE" })],
    [TypeError, () => new PostgresCircuitBreakerStore(client, null as never, { table: "one" })],
    [TypeError, () => new PostgresCircuitBreakerStore(client, { table: null as never })],
    [TypeError, () => new PostgresCircuitBreakerStore(client, {} as never, {})],
    [RangeError, () => new PostgresCircuitBreakerStore(client, { table: "" })],
    [RangeError, () => new PostgresCircuitBreakerStore(client, "one", { table: "a.b.c" })],
  ];
  for (const [type, call] of wrong) {
    const error = await failureOf(call) as Error;
    assertEquals(error.name, type.name, String(error));
    assertMatch(error.message, /^Cannot create store: .+, received .+/);
  }
});

Deno.test("constructor sends no statement, opens no connection and leaves no timer", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  const statements: string[] = [];
  const recording: PostgresClient = {
    query(text, params) {
      statements.push(text);
      return driver.client.query(text, params);
    },
  };
  // Neither store is closed: a timer or a connection would fail the leak check of this test.
  new PostgresCircuitBreakerStore(recording);
  new PostgresCircuitBreakerStore(recording, "circuits", { now: () => 1000 });
  assertEquals(statements, []);
  await using sql = connect(database.url);
  const [tables] = await sql`select count(*)::int as n from pg_tables where schemaname = 'public'`;
  assertEquals(tables!.n, 0);
  const [others] = await sql`select count(*)::int as n from pg_stat_activity
    where datname = ${database.name} and pid <> pg_backend_pid()`;
  assertEquals(others!.n, 0);
});

for (const ending of ["destroy", "close"] as const) {
  Deno.test(`${ending}() leaves the client, the data and other stores alone`, async () => {
    await using database = await createDatabase();
    await using driver = await openPostgresJs(database.url);
    await migrate(driver.client);
    const store = new PostgresCircuitBreakerStore(driver.client);
    await using other = new PostgresCircuitBreakerStore(driver.client);
    await store.recordFailure("api");
    const before = await store.transition("api", "open");
    await store[ending]();
    await store[ending]();
    const { rows } = await driver.client.query("select 1 as one");
    assertEquals([...rows], [{ one: 1 }]);
    assertEquals(await other.getState("api"), before);
    assertEquals((await other.recordFailure("api")).failureCount, 2);
  });
}

Deno.test("getState(), peek(), list() and history() need nothing but to read: no write, not even a lock", async () => {
  await using database = await createDatabase();
  await using admin = await openPostgresJs(database.url);
  await migrate(admin.client);
  const run = (sql: string) => admin.client.query(sql);
  await using role = await createRole(database, run);
  for (const suffix of ["", "_changes", "_instances", "_epoch"]) {
    await run(`grant select on stoma_circuit_breakers${suffix} to ${role.quoted}`);
  }
  await using reader = await openPostgresJs(role.url);
  await using store = new PostgresCircuitBreakerStore(reader.client);
  assertEquals((await store.getState("api")).state, "closed");
  assertEquals((await store.peek(["api", "web"])).length, 2);
  assertEquals(await store.list(), []);
  assertEquals(await store.history(), []);
  const error = await failureOf(() => store.recordFailure("api"));
  assertEquals(isCircuitBreakerStoreError(error) && error.sqlState, "42501");
});

Deno.test("getState, peek and recordFailure take no answer from a read-only session", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await driver.client.query("set default_transaction_read_only = on");
  // Without a primary to be had, a call ends at its deadline.
  for (const call of ["getState", "peek", "recordFailure"] as const) {
    await using store = new PostgresCircuitBreakerStore(
      keepingSessions(driver.client),
      "stoma_circuit_breakers",
      {
        timeoutMs: 100,
      },
    );
    const error = await failureOf(() => store[call]("api"));
    assertEquals(isStoreUnavailableError(error) || isStoreTimeoutError(error), true, String(error));
  }
});

/** A client of which the store cannot know whether it replaces sessions. */
function keepingSessions(client: PostgresClient): PostgresClient {
  return { query: (text, params) => client.query(text, params) };
}
