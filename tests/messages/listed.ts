/** Every public error message with what provokes it. */

// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import {
  InMemoryCircuitBreakerStore,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
  schemaSql,
} from "../../mod.ts";
import { fromBunSql } from "../../src/adapters/bun_sql.ts";
import { fromDenoPostgres } from "../../src/adapters/deno_postgres.ts";
import { fromNeon } from "../../src/adapters/neon.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPglite } from "../../src/adapters/pglite.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { failureOf } from "../conformance/session.ts";

/** What provokes a message, and its whole text. */
export type Listed = [call: () => unknown, message: string];

const CLIENT: PostgresClient = { query: () => Promise.resolve({ rows: [] }) };
const memory = new InMemoryCircuitBreakerStore();

/** Anything, where the types would refuse it. */
function wrong(value: unknown): never {
  return value as never;
}

function storeWith(options: Record<string, unknown>): PostgresCircuitBreakerStore {
  return new PostgresCircuitBreakerStore(CLIENT, options as PostgresCircuitBreakerStoreOptions);
}

/** A call on a store whose client fails. */
async function failing(message: string, code?: string, table = "circuits"): Promise<unknown> {
  const error = Object.assign(new Error(message), { code });
  await using store = new PostgresCircuitBreakerStore(
    { query: () => Promise.reject(error) },
    table,
  );
  return await store.getState("api");
}

const NO_CLIENT =
  "pass a pg.Pool, a PGlite or the result of an adapter such as fromPostgresJs(sql)";

export const ARGUMENTS: readonly Listed[] = [
  [
    () => memory.history({ since: NaN }),
    'Cannot read history: "since" must be a time in epoch milliseconds, received NaN',
  ],
  [
    () => memory.history({ after: "x" }),
    'Cannot read history: "after" must be the cursor of a change, received a string of 1 character',
  ],
  [
    () => new PostgresCircuitBreakerStore(wrong("postgres://localhost")),
    'Cannot create store: "client" must have a query(text, params) method, received a string of 20 ' +
    `characters: ${NO_CLIENT}`,
  ],
  [
    () => migrate(wrong(undefined)),
    `Cannot migrate: "client" must have a query(text, params) method, received undefined: ${NO_CLIENT}`,
  ],
  [
    () => new PostgresCircuitBreakerStore(wrong(postgres())),
    'Cannot create store: "client" must have a query(text, params) method, received a function: this ' +
    "looks like postgres.js or Bun SQL, pass fromPostgresJs(sql) or fromBunSql(sql)",
  ],
  [
    () => new PostgresCircuitBreakerStore(wrong({ queryObject() {} })),
    'Cannot create store: "client" must have a query(text, params) method, received an object: this ' +
    "looks like Deno Postgres, pass fromDenoPostgres(poolOrClient)",
  ],
  [
    () => storeWith({ quorum: 2 }),
    'Cannot create store: "quorum" needs a rule, "failureThreshold" or "failureRateThreshold" or ' +
    '"slowCallRateThreshold", received 2',
  ],
  [
    () => storeWith({ quorum: 2, failureThreshold: 5, trip: "caller" }),
    'Cannot create store: "trip" must be "store" with "quorum", received "caller"',
  ],
  [
    () => new PostgresCircuitBreakerStore(CLIENT, wrong(42)),
    'Cannot create store: "table" must be a string, received 42',
  ],
  [
    () => migrate(CLIENT, "postgres://user:secret@localhost/app"),
    'Cannot migrate: "table" must be the name of a table, not a connection string: pass that to the ' +
    "driver, received a string of 36 characters",
  ],
  [
    () => schemaSql(""),
    'Cannot write schema: "table" must not have an empty part, received an empty string',
  ],
  [
    () => schemaSql("a\0"),
    'Cannot write schema: "table" must not hold NUL, received a string of 2 characters',
  ],
  [
    () => schemaSql("\ud800"),
    'Cannot write schema: "table" must not hold a lone surrogate, received a string of 1 character',
  ],
  [
    () => schemaSql("x".repeat(64)),
    'Cannot write schema: "table" must not have a part of more than 63 bytes, received a string of 64 ' +
    "characters",
  ],
  [
    () => schemaSql('"a'),
    'Cannot write schema: "table" has a quoted part that does not end in a quote, received a string of ' +
    "2 characters",
  ],
  [
    () => schemaSql("a.b.c"),
    'Cannot write schema: "table" must be a table or schema.table (quote a name with dots: "a.b"), ' +
    "received a string of 5 characters",
  ],
  [
    () => schemaSql("t", { grantTo: wrong(5) }),
    'Cannot write schema: "grantTo" must be a string, received 5',
  ],
  [
    () => schemaSql("t", { grantTo: "" }),
    'Cannot write schema: "grantTo" must be the name of a role of 1 to 63 bytes, received an empty string',
  ],
  [
    () => schemaSql("t", { down: wrong("yes") }),
    'Cannot write schema: "down" must be true or false, received a string of 3 characters',
  ],
  [
    () => schemaSql("t", { grantTo: "gateway", down: true }),
    'Cannot write schema: "grantTo" cannot be given with "down"',
  ],
  [
    () => new PostgresCircuitBreakerStore(CLIENT, "one", { table: "three" }),
    'Cannot create store: "table" must be the same as argument and as option, received a string of 3 ' +
    "characters and a string of 5 characters",
  ],
  [
    () => new PostgresCircuitBreakerStore(CLIENT, wrong({}), {}),
    'Cannot create store: "options" must be given once, received them as the second and third argument',
  ],
  [
    () => new PostgresCircuitBreakerStore(CLIENT, undefined, wrong(null)),
    'Cannot create store: "options" must be a plain object, received null',
  ],
  [
    () => storeWith({ resetTimeoutMS: 1000 }),
    'Cannot create store: "resetTimeoutMs" must be spelt exactly so, received a similar name of 14 ' +
    "characters",
  ],
  [() => storeWith({ now: 5 }), 'Cannot create store: "now" must be a function, received 5'],
  [
    () => storeWith({ onError: "log" }),
    'Cannot create store: "onError" must be a function, received a string of 3 characters',
  ],
  [
    () => storeWith({ onOutage: "ignore" }),
    'Cannot create store: "onOutage" must be "throw" or "local", received a string of 6 characters',
  ],
  [
    () => storeWith({ durability: null }),
    'Cannot create store: "durability" must be "default" or "relaxed", received null',
  ],
  [
    () => storeWith({ timeoutMs: "1000" }),
    'Cannot create store: "timeoutMs" must be a number, received a string of 4 characters',
  ],
  [
    () => storeWith({ resetTimeoutMs: -1 }),
    'Cannot create store: "resetTimeoutMs" must be a positive number of milliseconds, received -1',
  ],
  [
    () => storeWith({ maxStalenessMs: 2 ** 31 }),
    'Cannot create store: "maxStalenessMs" must be at most 2147483647, received 2147483648',
  ],
  [
    () => storeWith({ mode: "observe" }),
    'Cannot create store: "mode" needs a rule by which the store opens circuits, such as ' +
    '"failureRateThreshold", received "observe"',
  ],
  [
    () => storeWith({ trip: "store" }),
    'Cannot create store: "trip" needs a rule, "failureThreshold" or "failureRateThreshold" or ' +
    '"slowCallRateThreshold", received "store"',
  ],
  [
    () => storeWith({ trip: "caller", failureRateThreshold: 0.5 }),
    'Cannot create store: "trip" must be "store" with "failureRateThreshold" or ' +
    '"slowCallRateThreshold", received "caller"',
  ],
  [
    () => storeWith({ failureRateThreshold: 50 }),
    'Cannot create store: "failureRateThreshold" must be a share above 0 and at most 1 (0.5 for half of ' +
    "the calls), received 50",
  ],
  [
    () => storeWith({ resetTimeoutMs: 1000, resetBackoff: { factor: 0.5 } }),
    'Cannot create store: "resetBackoff.factor" must be a number from 1 to 1000, received 0.5',
  ],
  [
    () => storeWith({ resetTimeoutMs: 1000, resetBackoff: { maxMs: 500 } }),
    'Cannot create store: "resetBackoff.maxMs" must be at least "resetTimeoutMs", received 500',
  ],
  [
    () => memory.recordSuccess("api", { durationMs: -1 }),
    'Cannot record success: "durationMs" must be a number of milliseconds from 0, received -1',
  ],
  [
    () => storeWith({ halfOpenMax: 1.5 }),
    'Cannot create store: "halfOpenMax" must be a whole number from 1 to 10000, received 1.5',
  ],
  [
    () => storeWith({ probeTimeoutMs: 1000 }),
    'Cannot create store: "probeTimeoutMs" needs "resetTimeoutMs", received undefined',
  ],
];

export const METHODS: readonly Listed[] = [
  [
    () => memory.reset({ storedKey: "nul \0" }),
    'Cannot reset circuit: "storedKey" must be a key as the store lists it, received a string of 5 ' +
    "characters",
  ],
  [
    () => memory.getState(wrong(1)),
    'Cannot read circuit: "key" must be a string or have a "storedKey", received 1',
  ],
  [
    () => memory.peek(wrong(["a", null])),
    'Cannot read circuits: "key" must be a string or have a "storedKey", received null',
  ],
  [
    () => memory.recordSuccess(wrong(undefined)),
    'Cannot record success: "key" must be a string or have a "storedKey", received undefined',
  ],
  [
    () => memory.recordFailure(wrong({})),
    'Cannot record failure: "key" must be a string or have a "storedKey", received an object',
  ],
  [
    () => memory.transition(wrong(["a"]), "open"),
    'Cannot move circuit: "key" must be a string or have a "storedKey", received an array',
  ],
  [
    () => memory.transition("api", wrong("ajar")),
    'Cannot move circuit: "to" must be "closed" or "open" or "half-open", received a string of 4 ' +
    "characters",
  ],
  [
    () => memory.reset(wrong(Symbol("a"))),
    'Cannot reset circuit: "key" must be a string or have a "storedKey", received a symbol',
  ],
  [
    () => memory.release(wrong(10n)),
    'Cannot release circuit: "key" must be a string or have a "storedKey", received a bigint',
  ],
  [
    () => memory.forceOpen(wrong(true)),
    'Cannot force circuit: "key" must be a string or have a "storedKey", received true',
  ],
  [
    () => memory.forceOpen("api", { reason: "x".repeat(1001) }),
    'Cannot force circuit: "reason" must have at most 1000 characters, received a string of 1001 ' +
    "characters",
  ],
  [
    () => memory.prune({ idleMs: -1 }),
    'Cannot prune circuits: "idleMs" must be a number of milliseconds from 0, received -1',
  ],
  [
    () => memory.list({ limit: 0 }),
    'Cannot list circuits: "limit" must be a whole number from 1 to 10000, received 0',
  ],
  [
    () => storeWith({}).watch({ signal: wrong({}) }),
    'Cannot watch circuits: "signal" must be an AbortSignal, received an object',
  ],
];

export const ADAPTERS: readonly Listed[] = [
  [
    () => fromPostgresJs(wrong("postgres://localhost")),
    "Cannot wrap postgres.js: expected the sql function that postgres(url) returns, received a string " +
    "of 20 characters",
  ],
  [
    () => fromNodePostgres(wrong(null)),
    "Cannot wrap node-postgres: expected a Pool or a Client of pg, received null",
  ],
  [
    () => fromPglite(wrong(new pg.Pool())),
    "Cannot wrap PGlite: expected a PGlite, received a node-postgres pool or client (use " +
    "fromNodePostgres)",
  ],
  [
    () => fromDenoPostgres(wrong({ query() {}, exec() {} })),
    "Cannot wrap Deno Postgres: expected a function that makes a Pool, a Pool or a Client of @db/postgres, received a PGlite (use " +
    "fromPglite)",
  ],
  [
    () => fromBunSql(wrong(postgres())),
    "Cannot wrap Bun.SQL: expected a SQL of Bun for PostgreSQL, received the sql function of " +
    "postgres.js (use fromPostgresJs)",
  ],
  [
    () => fromNeon(wrong(postgres())),
    "Cannot wrap Neon: expected the function that neon(url) returns, of version 1.0 or later, received " +
    "the sql function of postgres.js (use fromPostgresJs)",
  ],
  [
    () => fromPostgresJs(postgres(), { prepare: wrong(0) }),
    'Cannot wrap postgres.js: "prepare" must be a boolean, received 0',
  ],
  [
    () => fromPostgresJs(postgres({ transform: postgres.camel })),
    "Cannot wrap postgres.js: expected a sql that keeps column names, received one with a " +
    '"transform" that renames them',
  ],
  [
    async () => {
      const pool = new pg.Pool();
      await pool.end();
      await fromNodePostgres(pool).listen!("channel", () => {});
    },
    "Cannot listen: the pool has ended",
  ],
];

export const CLIENTS: readonly Listed[] = [
  [
    () => new PostgresCircuitBreakerStore({ query: () => Promise.resolve(wrong([])) }).list(),
    'Cannot read rows: "client" must resolve query(text, params) to an object with rows as objects, ' +
    "received an array: wrap it as { query: async (text, params) => ({ rows: await run(text, params) " +
    "}) }; for Neon use fromNeon(sql)",
  ],
  [
    () => new PostgresCircuitBreakerStore(CLIENT).check(),
    'Cannot check: "client" must run the statement that it is given and return rows with the names ' +
    'and values of their columns, received undefined as "circuit_breaker_readiness"',
  ],
  [
    () => failing("connect ECONNREFUSED 127.0.0.1:5432", "ECONNREFUSED"),
    "Cannot read circuit: connect ECONNREFUSED 127.0.0.1:5432",
  ],
  [
    () => failing("no route to postgres://user:secret@db/app\n"),
    "Cannot read circuit: no route to postgres://***@db/app\\u000a",
  ],
  [
    () => failing("Expected 1 bindings, saw 0"),
    'Cannot read circuit: Expected 1 bindings, saw 0: "client" must send the text with its $1 ' +
    "placeholders and the params as they are",
  ],
  [
    () => failing('column "version" does not exist', "42703"),
    'Cannot read circuit: column "version" does not exist: the table "circuits" is outdated, run ' +
    "migrate(client, table)",
  ],
  [
    () => failing("permission denied for table my table", "42501", "ops.my table"),
    "Cannot read circuit: permission denied for table (a name of 8 characters): give the role what " +
    "schemaSql(table, { grantTo }) grants, for the table (a name of 12 characters)",
  ],
  [
    async () => {
      await using store = new PostgresCircuitBreakerStore({ query: () => new Promise(() => {}) }, {
        timeoutMs: 20,
      });
      await store.getState("api");
    },
    "Cannot read circuit: no answer in 20 ms",
  ],
  [
    async () => {
      const client = { query: () => Promise.reject(new Error("Connection terminated")) };
      await using store = new PostgresCircuitBreakerStore(client);
      await failureOf(() => store.getState("api"));
      await store.getState("api");
    },
    "Cannot use the database: it is out (Cannot read circuit: Connection terminated)",
  ],
  [
    async () => {
      const client = { query: () => Promise.resolve({ rows: [{ CIRCUIT: "t" }] }) };
      await using store = new PostgresCircuitBreakerStore(client);
      await store.getState("api");
    },
    'Cannot read circuits: expected rows with a text column "circuit", received undefined there: ' +
    '"client" must return rows as objects, with the names and values of their columns',
  ],
  [
    () => storeWith({ now: () => NaN }).getState("api"),
    'Cannot read the clock: "now" must return epoch milliseconds, received NaN',
  ],
];

/** What only a real server says. */
export function serverMessages(client: PostgresClient): Listed[] {
  return [
    [
      () => new PostgresCircuitBreakerStore(client, "nowhere").getState("api"),
      'Cannot read circuit: the table "nowhere" does not exist, run migrate(client, table) first',
    ],
    [
      () => new PostgresCircuitBreakerStore(client, "no where").getState("api"),
      "Cannot read circuit: the table (a name of 8 characters) does not exist, run migrate(client, " +
      "table) first",
    ],
    [
      () => migrate(client, "nowhere.circuits"),
      'Cannot migrate: the schema of "nowhere"."circuits" does not exist, create it first',
    ],
    [
      async () => {
        await client.query("create table foreign_table (id int)");
        await migrate(client, "foreign_table");
      },
      'Cannot migrate: the table "foreign_table" exists and is not a circuit breaker table, use ' +
      "another name",
    ],
    [
      async () => {
        await migrate(client, "newer");
        await client.query("update newer_instances set library = 'schema 99' where id = 'token'");
        await migrate(client, "newer");
      },
      'Cannot migrate: the table "newer" is of a newer release (schema 99), this one knows schema 3: ' +
      "upgrade this package",
    ],
  ];
}
