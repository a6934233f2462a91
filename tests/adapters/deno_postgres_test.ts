import { assertEquals, assertStrictEquals } from "@std/assert";
import { fromDenoPostgres } from "../../src/adapters/deno_postgres.ts";
import { createDatabase } from "../support/database.ts";
import { contractSteps } from "./deno_steps.ts";
import { ClientShape, PoolShape } from "./deno_postgres_shape.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";
const IGNORED = REACHABLE ? "" : " (ignored: JSR is not reachable)";
// Computed, so that Deno does not fetch the driver before the test is known to run.
const DRIVER = ["@db", "postgres"].join("/");

Deno.test({
  name: `fromDenoPostgres keeps the contract on the driver's pool${IGNORED}`,
  ignore: !REACHABLE,
  async fn(t) {
    const { Pool } = await import(DRIVER);
    await using database = await createDatabase();
    await contractSteps(t, {
      name: "Deno Postgres",
      prepares: false,
      reconnects: false,
      open(max) {
        const pool = new Pool(database.url, max, true);
        return Promise.resolve({
          client: fromDenoPostgres(pool),
          [Symbol.asyncDispose]: () => pool.end(),
        });
      },
    });
  },
});

Deno.test({
  name: `fromDenoPostgres keeps the contract on the driver's client${IGNORED}`,
  ignore: !REACHABLE,
  async fn(t) {
    const { Client } = await import(DRIVER);
    await using database = await createDatabase();
    await contractSteps(t, {
      name: "Deno Postgres client",
      prepares: false,
      reconnects: false,
      async open() {
        const client = new Client(database.url);
        await client.connect();
        return { client: fromDenoPostgres(client), [Symbol.asyncDispose]: () => client.end() };
      },
    });
  },
});

Deno.test({
  name: `fromDenoPostgres keeps the contract on a factory of the driver's pools${IGNORED}`,
  ignore: !REACHABLE,
  async fn(t) {
    const { Pool } = await import(DRIVER);
    await using database = await createDatabase();
    await contractSteps(t, {
      name: "Deno Postgres factory",
      prepares: false,
      reconnects: true,
      open(max) {
        const client = fromDenoPostgres(() => new Pool(database.url, max, true));
        return Promise.resolve({ client, [Symbol.asyncDispose]: () => client.end() });
      },
    });
  },
});

Deno.test("fromDenoPostgres keeps the contract on a factory of the shape of pools", async (t) => {
  await using database = await createDatabase();
  await contractSteps(t, {
    name: "Deno Postgres factory shape",
    prepares: false,
    reconnects: true,
    open(max) {
      const client = fromDenoPostgres(() => new PoolShape(database.url, max));
      return Promise.resolve({ client, [Symbol.asyncDispose]: () => client.end() });
    },
  });
});

Deno.test("fromDenoPostgres keeps the contract on the shape of a pool", async (t) => {
  await using database = await createDatabase();
  await contractSteps(t, {
    name: "Deno Postgres pool shape",
    prepares: false,
    reconnects: false,
    open(max) {
      const pool = new PoolShape(database.url, max);
      return Promise.resolve({
        client: fromDenoPostgres(pool),
        [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
      });
    },
  });
});

Deno.test("fromDenoPostgres keeps the contract on the shape of a client", async (t) => {
  await using database = await createDatabase();
  await contractSteps(t, {
    name: "Deno Postgres client shape",
    prepares: false,
    reconnects: false,
    async open() {
      const client = await ClientShape.connect(database.url);
      return {
        client: fromDenoPostgres(client),
        [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
      };
    },
  });
});

Deno.test("fromDenoPostgres returns what the driver returns, and gives the connection back", async () => {
  const pool = new ScriptedPool(() => Promise.resolve({ rows: [{ n: 1n }] }));
  const { rows } = await fromDenoPostgres(pool).query("select $1 as n", ["1"]);
  assertEquals(rows, [{ n: 1n }]);
  assertEquals(pool.calls, [["select $1 as n", ["1"]]]);
  assertEquals([pool.lent, pool.returned], [1, 1]);
});

Deno.test("fromDenoPostgres gives the connection back after an error, which it passes on", async () => {
  const thrown = Object.assign(new Error("from the driver"), { fields: { code: "40001" } });
  const pool = new ScriptedPool(() => Promise.reject(thrown));
  const error = await fromDenoPostgres(pool).query("select 1").catch((error) => error);
  assertStrictEquals(error, thrown);
  assertEquals([pool.lent, pool.returned], [1, 1]);
});

Deno.test("fromDenoPostgres passes on that there was no connection to be had", async () => {
  const thrown = new Error("refused");
  const client = fromDenoPostgres({ connect: () => Promise.reject(thrown) });
  assertStrictEquals(await client.query("select 1").catch((error) => error), thrown);
});

/** A pool that counts what it lends; what a statement does is up to the test. */
class ScriptedPool {
  lent = 0;
  returned = 0;
  readonly calls: unknown[][] = [];
  readonly #answer: () => Promise<{ rows: unknown[] }>;

  constructor(answer: () => Promise<{ rows: unknown[] }>) {
    this.#answer = answer;
  }

  connect() {
    this.lent++;
    return Promise.resolve({
      queryObject: (...call: unknown[]) => {
        this.calls.push(call);
        return this.#answer();
      },
      release: () => void this.returned++,
    });
  }
}
