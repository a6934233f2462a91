/** Findings that need a server of their own. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import {
  SERVER_FACTS_STATEMENT,
  type ServerFacts,
  toFacts,
} from "../../src/postgres/statements/examine.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, urlOf } from "../support/database.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { runCommand } from "./stage.ts";

async function messages(url: string, check: string): Promise<string[]> {
  const { out, err } = await runCommand(["doctor", "--json"], { env: { DATABASE_URL: url } });
  assert(out !== "", err);
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return findings.filter((each) => each.check === check).map(({ message }) => message);
}

Deno.test("doctor finds what is wrong with a server: settings, connections, encoding, recovery", async () => {
  await using server = await startPostgres({
    settings: {
      autovacuum: "off",
      track_counts: "off",
      max_connections: "10",
      max_prepared_transactions: "2",
    },
  });
  {
    await using driver = await openPostgresJs(server.url, { max: 1 });
    await migrate(driver.client);
    await driver.client.query(
      "create database latin template template0 encoding 'LATIN1' locale 'C'",
    );
  }
  const found = await messages(server.url, "settings");
  for (const name of ["autovacuum", "track_counts", "fsync", "full_page_writes"]) {
    assert(found.some((message) => message.startsWith(`${name} is off: `)), found.join("\n"));
  }
  assertMatch(
    (await messages(urlOf(server.url, "latin"), "server"))[0]!,
    /encoding is LATIN1 and not/,
  );

  await using sql = connect(server.url, { max: 8 });
  const held = await Promise.all(Array.from({ length: 8 }, () => sql.reserve()));
  const facts = async () =>
    toFacts<ServerFacts>({ rows: [...await held[0]!.unsafe(SERVER_FACTS_STATEMENT)] });
  await held[1]!`begin`;
  await held[2]!`begin`;
  await held[2]!`create table held ()`;
  await held[2]!`prepare transaction 'forgotten'`;
  await until(async () => {
    const { oldestTransactionMs, oldestPreparedMs } = await facts();
    return oldestTransactionMs > 0 && oldestPreparedMs > 0;
  });
  await held[1]!`rollback`;
  await held[2]!`rollback prepared 'forgotten'`;
  assertEquals((await facts()).oldestPreparedMs, 0);
  // Eight, and one or two of the command.
  assertMatch(
    (await messages(server.url, "settings")).join("\n"),
    /(9|10) of 10 connections are in use/,
  );
  held.forEach((each) => each.release());
  await sql.end();

  await Deno.writeTextFile(`${server.dataDirectory}/standby.signal`, "");
  await server.restart();
  const { code, out } = await runCommand(["doctor"], { env: { DATABASE_URL: server.url } });
  assertEquals(code, 1);
  assertMatch(
    out,
    /^problem +server +the server is a standby and takes no writes, connect to the pr/m,
  );
});
