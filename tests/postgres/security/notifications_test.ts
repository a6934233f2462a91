/** Every role can notify on every channel. Nothing may depend on what comes there, or on room in the queue. */

import { assert, assertEquals } from "@std/assert";
import { type CircuitChange, migrate, PostgresCircuitBreakerStore } from "../../../mod.ts";
import { openPostgresJs } from "../../support/clients.ts";
import { connect } from "../../support/database.ts";
import { startPostgres } from "../../support/postgres_server.ts";
import { until } from "../../support/until.ts";
import { createArena } from "./arena.ts";

const TABLE = "stoma_circuit_breakers";

/** Payloads that no instance of ours sends. */
const GARBAGE = [
  "",
  "x",
  "0".repeat(7999),
  "closed",
  `${"f".repeat(32)} 9223372036854775807`,
  `${"f".repeat(32)} -1`,
  `{"__proto__":{"state":"closed"}}`,
  "%s%n\\x00 \u202e '; drop table circuits; --",
];

Deno.test("forged notifications change no answer and cost a bounded number of looks", async () => {
  await using arena = await createArena();
  const { admin, neighbour } = arena;
  await using driver = await openPostgresJs(arena.gateway.url, { max: 4 });
  await migrate(driver.client, TABLE);
  let statements = 0;
  const counted = {
    ...driver.client,
    query(text: string, params?: unknown[]) {
      statements++;
      return driver.client.query(text, params);
    },
  };
  await using cached = new PostgresCircuitBreakerStore(counted, TABLE, { maxStalenessMs: 10_000 });
  await using writer = new PostgresCircuitBreakerStore(driver.client, TABLE);
  await writer.transition("open", "open");
  await writer.recordFailure("closed");
  const seen: CircuitChange[] = [];
  const ending = new AbortController();
  const watching = (async () => {
    for await (const change of cached.watch({ signal: ending.signal })) seen.push(change);
  })();
  const states = async () => [
    (await cached.getState("open")).state,
    (await cached.getState("closed")).state,
    (await cached.getState("absent")).state,
  ];
  assertEquals(await states(), ["open", "closed", "closed"]);
  await until(async () => {
    await writer.transition("announced", "open");
    await writer.transition("announced", "closed");
    return seen.length > 0;
  });
  const [{ oid }] = await admin`select ${TABLE}::regclass::oid::int as oid` as [{ oid: number }];
  const before = statements;
  const begun = performance.now();
  await using sql = connect(neighbour.url);
  for (let round = 0; round < 50; round++) {
    await sql.unsafe(
      "select count(pg_notify($1, payload || i)) from unnest($2::text[]) as payload, generate_series(1, 50) i",
      [`circuit_breaker_${oid}`, GARBAGE.map((text) => text.slice(0, 7990))],
    );
  }
  await writer.transition("after", "open");
  await until(() => seen.some(({ key }) => key === "after"));
  const elapsedMs = performance.now() - begun;
  assertEquals(await states(), ["open", "closed", "closed"]);
  // 20,000 notifications. A look that is under way is not begun again, and looks have a pause.
  assert(statements - before < 200 + elapsedMs, `${statements - before} in ${elapsedMs} ms`);
  assertEquals(seen.filter(({ key }) => !["announced", "after"].includes(key)), []);
  ending.abort();
  await watching;
});

Deno.test("a full queue of notifications stops no call, and watch goes on", async () => {
  await using server = await startPostgres({
    version: "18",
    settings: { max_notify_queue_pages: "64" },
  });
  await using arena = await createArena(server.url);
  const { neighbour } = arena;
  await using driver = await openPostgresJs(arena.gateway.url, { max: 4 });
  await migrate(driver.client, TABLE);
  // A listener in a transaction holds back the queue's end.
  await using idle = connect(neighbour.url);
  await idle.unsafe("listen anything");
  await idle.unsafe("begin");
  await idle.unsafe("select 1");
  await fill(neighbour.url);
  await using store = new PostgresCircuitBreakerStore(driver.client, TABLE);
  await using cached = new PostgresCircuitBreakerStore(driver.client, TABLE, {
    maxStalenessMs: 100,
  });
  const seen: string[] = [];
  const ending = new AbortController();
  const watching = (async () => {
    for await (const { key, to } of cached.watch({ signal: ending.signal })) {
      seen.push(`${key} ${to}`);
    }
  })();
  await until(async () => {
    await store.transition("first", "open");
    await store.transition("first", "closed");
    return seen.length > 0;
  });
  await store.recordFailure("api");
  assertEquals((await store.transition("api", "open")).state, "open");
  await until(async () => (await cached.getState("api")).state === "open");
  await store.forceClosed("api");
  assertEquals((await store.getState("api")).state, "closed");
  await store.release("api");
  await store.reset("api");
  await until(() => seen.includes("api open"));
  await idle.unsafe("rollback");
  ending.abort();
  await watching;
});

/** Notifies until the server has no more room. */
async function fill(url: string): Promise<void> {
  await using sql = connect(url);
  for (;;) {
    try {
      await sql.unsafe(
        "select count(pg_notify('anything', repeat('x', 7900) || i)) from generate_series(1, 100) i",
      );
    } catch (error) {
      assertEquals((error as { code?: string }).code, "54000");
      return;
    }
  }
}
