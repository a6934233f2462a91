import { connect, createDatabase } from "../support/database.ts";
import { openNodePostgres } from "../support/clients.ts";
import { fromDenoPostgres } from "../../src/adapters/deno_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";
import { PoolShape } from "./deno_postgres_shape.ts";
import { terminatingContract } from "./terminating.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";
// Computed, so that Deno does not fetch the driver before the test is known to run.
const DRIVER = ["@db", "postgres"].join("/");

type Open = (url: string, max: number) => Promise<{ client: PostgresClient } & AsyncDisposable>;

const POOLS: Record<string, Open> = {
  "fromPostgresJs with max_pipeline 0"(url, max) {
    const sql = connect(`${url}?max_pipeline=0`, { max, fetch_types: false });
    return opened(fromPostgresJs(sql), () => sql.end({ timeout: 5 }));
  },
  fromPostgresJs(url, max) {
    const sql = connect(url, { max, fetch_types: false });
    return opened(fromPostgresJs(sql), () => sql.end({ timeout: 5 }));
  },
  fromNodePostgres: (url, max) => openNodePostgres(url, { max }),
  async "a bare pg.Pool"(url, max) {
    const driver = await openNodePostgres(url, { max });
    return opened(driver.raw, () => driver[Symbol.asyncDispose]());
  },
  "fromDenoPostgres with a factory of the shape of pools"(url, max) {
    const client = fromDenoPostgres(() => new PoolShape(url, max));
    return opened(client, () => client.end());
  },
  async "fromDenoPostgres with a factory of the driver's pools"(url, max) {
    const { Pool } = await import(DRIVER);
    const client = fromDenoPostgres(() => new Pool(url, max, true));
    return opened(client, () => client.end());
  },
};

for (const [name, open] of Object.entries(POOLS)) {
  const ignore = name.includes("driver's") && !REACHABLE;
  terminatingContract({
    test: (name, body) =>
      Deno.test({
        name: ignore ? `${name} (ignored: JSR is not reachable)` : name,
        ignore,
        fn: body,
      }),
  }, {
    name,
    // None of these sends a statement on a connection that has one.
    companions: 0,
    async open(max) {
      const database = await createDatabase();
      const driver = await open(database.url, max);
      return opened(driver.client, async () => {
        await driver[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      });
    },
  });
}

function opened(client: PostgresClient, close: () => PromiseLike<void>): ReturnType<Open> {
  return Promise.resolve({ client, [Symbol.asyncDispose]: close });
}
