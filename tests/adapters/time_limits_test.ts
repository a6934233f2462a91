import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";
import { connect, createDatabase } from "../support/database.ts";

/** Shorter than those of docs/drivers.md, in the same order. */
const STATEMENT_TIMEOUT_MS = 100;
const QUERY_TIMEOUT_MS = 5000;

const NAME = "time_limits";

const DRIVERS: Record<string, (url: string) => { client: PostgresClient } & AsyncDisposable> = {
  "node-postgres"(url) {
    const pool = new pg.Pool({
      connectionString: url,
      max: 2,
      connectionTimeoutMillis: 5000,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: NAME,
    });
    pool.on("error", () => {});
    return { client: fromNodePostgres(pool), [Symbol.asyncDispose]: () => pool.end() };
  },
  "postgres.js"(url) {
    const sql = connect(url, {
      max: 2,
      fetch_types: false,
      connect_timeout: 5,
      connection: { statement_timeout: STATEMENT_TIMEOUT_MS, application_name: NAME },
    });
    return { client: fromPostgresJs(sql), [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }) };
  },
};

for (const [name, open] of Object.entries(DRIVERS)) {
  Deno.test(`${name} with the advised limits leaves no sessions behind while a row is locked`, async () => {
    await using database = await createDatabase();
    await using holder = connect(database.url);
    await holder`create table rows as select 1 as n`;
    await holder.unsafe("begin; update rows set n = 2");
    await using driver = open(database.url);
    for (let round = 0; round < 3; round++) {
      const refused = await Promise.all(
        [1, 2].map((n) =>
          driver.client.query("update rows set n = $1::int", [n]).catch(({ code }) => code)
        ),
      );
      assertEquals(refused, ["57014", "57014"]);
    }
    const [row] = await holder<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where application_name = ${NAME}`;
    // node-postgres closes its connection after an error.
    assert(row!.n <= 2, `${row!.n} sessions`);
    await holder.unsafe("rollback");
  });
}
