/** No error of this library shows a string that it was given, and none holds a raw control character. */

import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import {
  InMemoryCircuitBreakerStore,
  isCircuitBreakerStoreError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
  schemaSql,
} from "../mod.ts";
import { fromBunSql } from "../src/adapters/bun_sql.ts";
import { fromDenoPostgres } from "../src/adapters/deno_postgres.ts";
import { fromNeon } from "../src/adapters/neon.ts";
import { fromNodePostgres } from "../src/adapters/node_postgres.ts";
import { fromPglite } from "../src/adapters/pglite.ts";
import { fromPostgresJs } from "../src/adapters/postgres_js.ts";
import { openNodePostgres, openPostgresJs } from "./support/clients.ts";
import { createDatabase } from "./support/database.ts";

const SECRET = "postgres://user:hunter2@db.example/app";
const HOSTILE = "a\nb\r\0\x1b[31m\x7f\x85\u2028\u2029\u202e\u2066";

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const STORE_OPTIONS = [
  ...["now", "resetTimeoutMs", "halfOpenMax", "probeTimeoutMs", "failureThreshold"],
  ...["failureWindowMs", "timeoutMs", "onOutage", "onOutageChange", "onError", "maxStalenessMs"],
  ...["durability", "pruneIdleMs", "maxCircuits"],
];

const ADAPTERS = [
  ...[fromBunSql, fromDenoPostgres, fromNeon, fromNodePostgres, fromPglite, fromPostgresJs],
];

type Store = InMemoryCircuitBreakerStore | PostgresCircuitBreakerStore;
type Call = () => unknown;

/** How a client can fail while it holds a secret: errors of its own, and of the server. */
const FAILURES: ((params: readonly unknown[]) => unknown)[] = [
  (params) => new Error(`cannot run with ${params.join()}, connected to ${SECRET}`),
  (params) => new TypeError(`cannot use ${params.join()} with password=hunter2`),
  () => new AggregateError([new Error(`connect ${SECRET}`)], ""),
  () => SECRET,
  () => ({ toString: () => SECRET }),
  ...["42P01", "42703", "42501", "3F000", "57014", "08006", "22P02", "25006"].map(
    (code) => (params: readonly unknown[]) =>
      Object.assign(new Error(`server at ${SECRET} says ${params.join()}`), { code }),
  ),
];

function failingClient(failure: (params: readonly unknown[]) => unknown): PostgresClient {
  return { query: (_, params = []) => Promise.reject(failure(params)) };
}

/** Every method of a store that takes a string, given one. */
function callsOn(store: Store, text: string): Call[] {
  const wrong = text as never;
  return [
    () => store.getState(text),
    () => store.recordSuccess(text),
    () => store.recordFailure(text),
    () => store.transition(text, "open"),
    () => store.transition("api", wrong),
    () => store.transition("api", [text] as never),
    () => store.reset(text),
    () => store.peek(text),
    () => store.peek([text, "api"]),
    () => store.peek([[text]] as never),
    () => store.list({ after: text }),
    () => store.list({ after: [text] as never }),
    () => store.list({ state: wrong }),
    () => store.list({ limit: wrong }),
    () => store.list({ [text]: text }),
    () => store.list(wrong),
    () => store.forceOpen(text, { reason: text }),
    () => store.forceClosed(text, { reason: text }),
    () => store.forceOpen("api", { reason: text.repeat(1000) }),
    () => store.forceOpen("api", { reason: [text] as never }),
    () => store.forceOpen("api", { forMs: wrong }),
    () => store.forceClosed("api", wrong),
    () => store.release(text),
    () => store.prune({ idleMs: wrong }),
    () => store.prune({ idleMs: 1, limit: wrong }),
    () => store.prune({ idleMs: 1, [text]: text }),
    () => store.prune(wrong),
  ];
}

/** What a watch can be given. */
function watchesOn(store: PostgresCircuitBreakerStore, text: string): Call[] {
  const wrong = text as never;
  return [
    () => store.watch(wrong),
    () => store.watch({ signal: wrong }),
    () => store.watch({ signal: { aborted: text } as never }),
  ];
}

async function failureOf(call: Call): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
}

/** Everything that an error of ours and its causes of ours show. A driver's error is the driver's. */
function textsOf(error: unknown): string[] {
  const texts: string[] = [];
  for (
    let each = error;
    each instanceof Error && (each === error || isCircuitBreakerStoreError(each));
    each = each.cause
  ) {
    const own = Object.getOwnPropertyNames(each).filter((name) => name !== "cause");
    const fields = own.map((name) => [name, (each as unknown as Record<string, unknown>)[name]]);
    texts.push(each.message, String(each), Deno.inspect(fields, { strAbbreviateSize: Infinity }));
  }
  return texts;
}

/** Runs calls that may or may not fail, and says how many did. */
async function assertSilent(calls: Call[]): Promise<number> {
  let failures = 0;
  for (const call of calls) {
    const error = await failureOf(call);
    if (error === undefined) continue;
    failures++;
    assert(error instanceof Error && /^Cannot [^:]+: /.test(error.message), String(error));
    for (const text of textsOf(error)) {
      assert(!text.includes("hunter2"), `${text}\n${call}`);
    }
    assert(!CONTROL.test(error.message), `${Deno.inspect(error.message)}\n${call}`);
  }
  return failures;
}

Deno.test("a connection string passed in a wrong place shows in no error", async () => {
  const client: PostgresClient = { query: () => Promise.resolve({ rows: [] }) };
  const wrong = SECRET as never;
  const tables = [SECRET, `"${SECRET}"`, `ops.${SECRET}`, "user=user password=hunter2", [SECRET]];
  const refused: Call[] = [
    ...[SECRET, { url: SECRET }, [SECRET], new String(SECRET), new URL(SECRET)].flatMap((given) => [
      () => new PostgresCircuitBreakerStore(given as never),
      () => migrate(given as never),
      ...ADAPTERS.map((adapter) => () => adapter(given as never)),
    ]),
    ...tables.flatMap((table) => [
      () => new PostgresCircuitBreakerStore(client, table as never),
      () => new PostgresCircuitBreakerStore(client, { table: table as never }),
      () => new PostgresCircuitBreakerStore(client, "circuits", { table: table as never }),
      () => migrate(client, table as never),
      () => schemaSql(table as never),
    ]),
    ...[wrong, [SECRET] as never, new String(SECRET) as never].flatMap((options) => [
      () => new PostgresCircuitBreakerStore(client, undefined, options),
      () => new InMemoryCircuitBreakerStore(options),
    ]),
    () => new PostgresCircuitBreakerStore(client, "hunter2 here", { table: "hunter2 there" }),
    ...STORE_OPTIONS.flatMap((name) => [
      () => new PostgresCircuitBreakerStore(client, undefined, { [name]: SECRET }),
      () => new PostgresCircuitBreakerStore(client, undefined, { [name]: [SECRET] }),
      () => new InMemoryCircuitBreakerStore({ [name]: [SECRET] }),
      () => new InMemoryCircuitBreakerStore({ [name.toUpperCase() + "_"]: SECRET }),
    ]),
    () => fromPostgresJs(postgres(), wrong),
    () => fromPostgresJs(postgres(), { prepare: wrong }),
    () => fromNodePostgres(new pg.Pool(), wrong),
    () => fromNodePostgres(new pg.Pool(), { prepare: wrong }),
  ];
  assertEquals(await assertSilent(refused), refused.length);
  // A name that is not ours is not ours to judge.
  new PostgresCircuitBreakerStore(client, undefined, { [SECRET]: SECRET } as object).destroy();
  new InMemoryCircuitBreakerStore({ [SECRET]: SECRET } as object).destroy();
  fromPostgresJs(postgres(), { [SECRET]: SECRET } as object);
});

Deno.test("a connection string passed to a method shows in no error, whatever the client says", async () => {
  for (const failure of FAILURES) {
    for (const options of [{}, { maxStalenessMs: 1000 }, { resetTimeoutMs: 1000 }]) {
      await using store = new PostgresCircuitBreakerStore(
        failingClient(failure),
        "circuits",
        options,
      );
      const calls = [...callsOn(store, SECRET), ...watchesOn(store, SECRET)];
      assert(await assertSilent(calls) >= calls.length - 2);
    }
    assertEquals(await assertSilent([() => migrate(failingClient(failure), "circuits")]), 1);
  }
});

Deno.test("a name that is not plain shows in no error, whatever the server says of it", async () => {
  const table = "hunter2 and\u202e more";
  for (const code of ["42P01", "42703", "42501", "3F000", "57014", "08006", undefined]) {
    const error = Object.assign(new Error(`trouble with ${table}`), { code });
    await using store = new PostgresCircuitBreakerStore(failingClient(() => error), table);
    assertEquals(await assertSilent([() => store.getState("api")]), 1);
    // An outage only delays a watch.
    if (!code?.startsWith("42")) continue;
    assertEquals(await assertSilent([() => store.watch().next()]), 1);
  }
});

Deno.test("a key full of control characters leaves none in any message", async () => {
  for (const failure of FAILURES) {
    await using store = new PostgresCircuitBreakerStore(failingClient(failure), "circuits");
    assert(await assertSilent([...callsOn(store, HOSTILE), ...watchesOn(store, HOSTILE)]) > 20);
  }
  await using memory = new InMemoryCircuitBreakerStore();
  assert(await assertSilent(callsOn(memory, HOSTILE)) > 10);
});

Deno.test("a connection string is a circuit's key like any other", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  await migrate(driver.client);
  await using store = new PostgresCircuitBreakerStore(driver.client);
  await using memory = new InMemoryCircuitBreakerStore();
  for (const each of [store, memory]) {
    assertEquals((await each.recordFailure(SECRET)).failureCount, 1);
    assertEquals((await each.transition(SECRET, "open")).state, "open");
    assertEquals((await each.list()).map(({ key }) => key), [SECRET]);
    assert(await assertSilent(callsOn(each, SECRET)) > 10);
  }
});

Deno.test("what real drivers say of a server that is not there shows no password", async () => {
  const url = "postgres://user:hunter2@127.0.0.1:1/app";
  for (const open of [openPostgresJs, openNodePostgres]) {
    await using driver = await open(url, { max: 1 });
    await using store = new PostgresCircuitBreakerStore(driver.client);
    assertEquals(await assertSilent([() => store.getState(SECRET), () => store.list()]), 2);
  }
});
