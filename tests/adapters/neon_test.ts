import { neon, neonConfig, Pool } from "@neondatabase/serverless";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  isStoreTimeoutError,
  isStoreUnavailableError,
  migrate,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { fromNeon } from "../../src/adapters/neon.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { createDatabase } from "../support/database.ts";
import { startNeonEndpoint } from "../support/neon_endpoint.ts";
import { contractSteps } from "./deno_steps.ts";

const KEPT_BY_NOTHING = { [Symbol.asyncDispose]: () => Promise.resolve() };

for (const options of [{}, { fullResults: true }, { arrayMode: true }]) {
  Deno.test(`fromNeon keeps the contract with ${JSON.stringify(options)}`, async (t) => {
    await using database = await createDatabase();
    await using _endpoint = startNeonEndpoint();
    await contractSteps(t, {
      name: "Neon",
      prepares: false,
      reconnects: true,
      open: () =>
        Promise.resolve({ client: fromNeon(neon(database.url, options)), ...KEPT_BY_NOTHING }),
    }, true);
  });
}

Deno.test("fromNeon has no listen: its store looks at intervals", () => {
  assertEquals(Object.keys(fromNeon(neon("postgres://app@localhost/app"))), ["query"]);
});

Deno.test("fromNeon passes the driver's error on, and keeps the other options of fetch", async () => {
  const thrown = new Error("from the driver");
  const { fetchFunction } = neonConfig;
  let init: RequestInit | undefined;
  neonConfig.fetchFunction = (_url: string, given: RequestInit) => {
    init = given;
    return Promise.resolve({ ok: true, json: () => Promise.reject(thrown) });
  };
  try {
    const sql = neon("postgres://app@localhost/app", {
      fetchOptions: { priority: "high", signal: AbortSignal.abort() },
    });
    const error = await fromNeon(sql).query("select 1").catch((error) => error);
    assertStrictEquals(error, thrown);
  } finally {
    neonConfig.fetchFunction = fetchFunction;
  }
  assertEquals((init as { priority?: string }).priority, "high");
});

Deno.test("fromNeon aborts a request that takes too long", async () => {
  await using database = await createDatabase();
  await using endpoint = startNeonEndpoint();
  const client = fromNeon(neon(database.url), { timeoutMs: 50 });
  const aborted = Promise.withResolvers<void>();
  endpoint.interrupt(async ({ signal }) => {
    signal.addEventListener("abort", () => aborted.resolve());
    await aborted.promise;
  });
  const error = await assertRejects(() => client.query("select 1 as n"));
  assert(isStoreTimeoutError(error));
  assertEquals(error.message, "Cannot query Neon: no answer in 50 ms");
  await aborted.promise;
});

Deno.test("fromNeon: the store reads again where a request lost its connection", async () => {
  await using database = await createDatabase();
  await using endpoint = startNeonEndpoint();
  const client = fromNeon(neon(database.url));
  await migrate(client);
  const outages: boolean[] = [];
  await using store = new PostgresCircuitBreakerStore(client, {
    timeoutMs: 5000,
    onOutageChange: ({ isOut }) => outages.push(isOut),
  });
  await store.recordFailure("api");
  const before = endpoint.requests;
  // The body ends before its time, as where a proxy goes away.
  endpoint.interrupt(() => Promise.resolve(brokenResponse()));
  assertEquals((await store.getState("api")).failureCount, 1);
  assertEquals([endpoint.requests - before, outages], [2, []]);
});

Deno.test("fromNeon: what a proxy says without a SQLSTATE is an outage", async () => {
  await using database = await createDatabase();
  await using endpoint = startNeonEndpoint();
  await using store = new PostgresCircuitBreakerStore(fromNeon(neon(database.url)), {
    timeoutMs: 5000,
  });
  endpoint.interrupt(() => Promise.resolve(new Response("asleep", { status: 503 })));
  const error = await assertRejects(() => store.recordFailure("api"));
  assert(isStoreUnavailableError(error));
  assertEquals(error.message, "Cannot record result: Server error (HTTP status 503): asleep");
});

Deno.test("a Pool of Neon is a pool of node-postgres to the adapter", async () => {
  const pool = new Pool({ connectionString: "postgres://app@localhost/app" });
  assertEquals(typeof fromNodePostgres(pool).query, "function");
  await pool.end();
});

/** A response whose connection breaks in the middle of its body. */
function brokenResponse(): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"fields":'));
      },
      pull(controller) {
        controller.error(new Error("gone"));
      },
    }),
    { headers: { "content-type": "application/json" } },
  );
}
