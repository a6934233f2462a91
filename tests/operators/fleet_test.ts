/** What the fleet shows of itself while it works, without an end of any store. */

import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../mod.ts";
import { VERSION } from "../../src/version.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

Deno.test("instances in use show themselves, and their refusals, with few statements", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url);
  await migrate(driver.client);
  const sent: string[] = [];
  const client: PostgresClient = {
    query(text, params) {
      sent.push(text);
      return driver.client.query(text, params);
    },
  };
  const beganAt = Date.now();
  await using plain = new PostgresCircuitBreakerStore(client, { instanceId: "plain" });
  await using cached = new PostgresCircuitBreakerStore(driver.client, {
    instanceId: "cached",
    maxStalenessMs: 1000,
  });
  await plain.forceOpen("api");
  let refused = 0;
  let cachedRefused = 0;
  const refusedCount = async () =>
    (await driver.raw<{ count: number }[]>`
    select refused_count::int as count from stoma_circuit_breakers where key = 'api'`)[0]!.count;
  const seen = async () => (await cached.instances()).map(({ label }) => label);
  assertEquals((await seen()).includes("plain"), false);
  await until(async () => {
    await plain.getState("api");
    refused++;
    await cached.getState("api");
    cachedRefused++;
    return (await refusedCount()) > 0 && (await seen()).length === 2;
  }, 20_000);

  const instances = await plain.instances();
  assertEquals(
    instances.map(({ label, libraryVersion, maxStalenessMs }) => [
      label,
      libraryVersion,
      maxStalenessMs,
    ]),
    [["cached", VERSION, 1000], ["plain", VERSION, 0]],
  );
  for (const { id, lastSeenAt } of instances) {
    assert(/^[0-9a-f-]{36}$/.test(id));
    assert(lastSeenAt >= beganAt - 1000 && lastSeenAt <= Date.now() + 1000);
  }
  // Thousands of refusals have cost a few statements.
  const count = (part: string) => sent.filter((text) => text.includes(part)).length;
  assert(count("refused_count + call.refused") <= 4, `${count("refused_count + call.refused")}`);
  assertEquals(count("bound_ms = excluded.bound_ms"), 1);
  assert(await refusedCount() <= refused + cachedRefused);
  await plain.close();
  await cached.close();
  assertEquals(await refusedCount(), refused + cachedRefused);
});
