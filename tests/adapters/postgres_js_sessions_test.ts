import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { runAloneOf } from "../../src/client_traits.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const ROUNDS = 5;

// As a proxy ends sessions whose server it has marked down. The driver rolls back what failed in a
// transaction, and on a connection that has ended without a word of the server it throws then, where no
// caller can catch it.
Deno.test("a statement that runs alone outlives its connection, and so does its pool", async () => {
  await using database = await createDatabase();
  await using proxy = TcpProxy.start(database.url);
  await using observer = connect(database.url);
  await using sql = connect(proxy.urlOf(database.url), { max: 1, fetch_types: false });
  const client = fromPostgresJs(sql);
  const runAlone = runAloneOf(client);
  assert(runAlone !== undefined);
  for (let round = 0; round < ROUNDS; round++) {
    const marker = `round ${round}`;
    const lost = assertRejects(() => runAlone("select pg_sleep(60), $1::text as marker", [marker]));
    await until(async () => {
      const rows = await observer`select from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()`;
      return rows.length > 0;
    }, 10_000);
    proxy.cut();
    await lost;
    // The server has noticed nothing yet.
    await observer`select pg_terminate_backend(pid) from pg_stat_activity
      where wait_event = 'PgSleep' and datname = current_database()`;
    const { rows } = await client.query("select '1' as n");
    assertEquals([...rows], [{ n: "1" }]);
  }
});
