/**
 * Sessions of a server that takes no writes: a pool keeps them after a failover, and a store must
 * neither believe them nor wait for the pool to lose them.
 */

import { assert, assertEquals } from "@std/assert";
import {
  isStoreTimeoutError,
  isStoreUnavailableError,
  migrate,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
// @ts-types="@types/pg"
import pg from "pg";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { openPostgresJs } from "../support/clients.ts";
import { urlAs } from "../support/database.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { DRIVERS } from "./messages.ts";
import { Noise } from "./noise.ts";
import { ObservedStore } from "./observed_store.ts";
import {
  demote,
  KEY,
  leaveBehind,
  MARK,
  mark,
  MOST_OUTAGES,
  openCircuit,
  Scene,
  SESSIONS,
  TIMEOUT_MS,
} from "./read_only_scene.ts";
import { openSharedPool, Traffic } from "./shared_pool.ts";
import { last } from "./stage.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** How long there is no other server, and how often a store asks in that time at most. */
const WAITING_MS = 3000;
const MOST_CHECKS = 10;

Deno.test("sessions of a standby are replaced when connections reach the primary", async () => {
  await using scene = await Scene.open();
  await leaveBehind(scene);
  scene.proxy.redirect(scene.standby.url);
  scene.openPools();
  await scene.openSessions(SESSIONS);
  assertEquals(await scene.sessionsOn(scene.standby.url), SESSIONS * scene.players.length);
  scene.start();
  await scene.each(({ observed }) => observed.lost());
  const states = scene.players.map(({ observed }) => {
    const { cause } = observed.events[0]!;
    assert(isStoreUnavailableError(cause) || isStoreTimeoutError(cause), `${cause}`);
    return cause.sqlState;
  });
  // The cause can also be a statement that was lost with the session that its store replaced.
  assert(states.includes("25006"), `${states}`);
  // As long as there is no other server, a check replaces each session of its pool once at most.
  const { length: before } = scene.proxy.arrivals;
  await last(WAITING_MS);
  const replaced = (scene.proxy.arrivals.length - before) / scene.players.length;
  assert(replaced <= MOST_CHECKS * SESSIONS, `${replaced} sessions of each pool were replaced`);

  await scene.recoverThrough(scene.primary.url);
  // No session of the old server stays for a later call to meet.
  await until(async () => await scene.sessionsOn(scene.standby.url) === 0, 30_000);
  await scene.check(scene.primary.url);
});

Deno.test("a pool with sessions of both servers replaces those of the standby, without outages in a row", async () => {
  await using scene = await Scene.open();
  await leaveBehind(scene);
  scene.proxy.redirect(scene.standby.url);
  scene.openPools();
  await scene.openSessions(SESSIONS / 2);
  scene.proxy.redirect(scene.primary.url);
  await scene.openSessions(SESSIONS);
  assert(await scene.sessionsOn(scene.standby.url) >= SESSIONS / 2, "no session is old");
  scene.start();
  await scene.recover();
  // With sessions of both, a store that keeps them goes in and out of outages all the time.
  await last(4000);
  assertEquals(await scene.sessionsOn(scene.standby.url), 0);
  await scene.check(scene.primary.url);
});

for (const restarts of [false, true]) {
  const event = restarts ? "comes back as a read-only server" : "stays as a read-only server";
  Deno.test(`every store follows a failover whose old primary ${event}`, async () => {
    await using scene = await Scene.open();
    const { primary, standby, proxy } = scene;
    await mark(primary.url, 1);
    scene.openPools();
    await scene.openSessions(SESSIONS);
    scene.start();
    await until(
      () => scene.players.every(({ observed }) => observed.account.acknowledged > 50),
      30_000,
    );

    await demote(scene);
    if (restarts) {
      await scene.each(({ traffic }) => traffic.stop());
      const { exited } = primary;
      primary.signal("SIGKILL");
      await exited;
      await primary.restart();
      for (const { traffic } of scene.players) traffic.start();
    }
    await scene.each(({ observed }) => observed.lost());
    await standby.promote();
    await mark(primary.url, MARK);
    await openCircuit(standby.url);
    // The name still leads to the old primary, which must not be believed meanwhile.
    await until(async () => await scene.sessionsOn(primary.url) >= scene.players.length, 30_000);
    await last(500);

    await scene.recoverThrough(standby.url);
    await until(async () => await scene.sessionsOn(primary.url) === 0, 30_000);
    // A session that died with the old primary is another outage than its read-only successor.
    await scene.check(standby.url, MOST_OUTAGES + (restarts ? 1 : 0));
    assert(proxy.open <= SESSIONS * scene.players.length + scene.players.length, `${proxy.open}`);
  });
}

Deno.test("a role that is read-only on purpose costs a session per check, ever rarer", async () => {
  await using server = await startPostgres();
  await using driver = await openPostgresJs(server.url, { max: 1 });
  await migrate(driver.client);
  await driver.raw`create role reader login`;
  await driver.raw`alter role reader set default_transaction_read_only = on`;
  await driver.raw`grant usage on schema public to reader`;
  await driver.raw`grant select, insert, update, delete on all tables in schema public to reader`;
  await Promise.all(DRIVERS.map(async (driver) => {
    await using cleanup = new AsyncDisposableStack();
    const proxy = cleanup.use(TcpProxy.start(server.url));
    const url = urlAs(proxy.urlOf(server.url), "reader");
    const pool = cleanup.use(openSharedPool(driver, url, driver, SESSIONS));
    const observed = cleanup.use(
      new ObservedStore(driver, pool.client, { timeoutMs: TIMEOUT_MS }, {
        key: KEY,
        isForbidden: () => true,
        isCurrent: () => false,
        noise: cleanup.use(new Noise()),
      }),
    );
    const traffic = cleanup.use(new Traffic(pool));
    await pool.open(SESSIONS);
    traffic.start();
    const { length: first } = proxy.arrivals;
    const start = performance.now();
    observed.start();
    await observed.lost();
    await last(10_000);
    await observed.end();
    const arrivals = proxy.arrivals.slice(first).map((at) => at - start);
    const late = arrivals.filter((at) => at > 5000);
    const said = `${driver}: sessions after ${arrivals.map(Math.round)} ms`;
    assert(arrivals.length > 0, said);
    // On a busy machine a check takes longer, and there are few at all.
    assert(late.length <= Math.min(4, Math.max(1, arrivals.length - late.length)), said);
    assertEquals([observed.events.length, observed.wrong, traffic.failures], [1, [], []], said);
  }));
});

Deno.test("a client that is one connection keeps it, also on a server that takes no writes", async () => {
  await using server = await startPostgres();
  await using driver = await openPostgresJs(server.url, { max: 1 });
  await migrate(driver.client);
  await driver.raw`alter system set default_transaction_read_only = on`;
  await driver.raw`select pg_reload_conf()`;
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  const lost: unknown[] = [];
  client.on("error", (error) => lost.push(error));
  const pidOf = async () => (await client.query("select pg_backend_pid() as pid")).rows[0].pid;
  const pid = await pidOf();
  const checks = { sent: 0 };
  const adapted = fromNodePostgres(client);
  await using store = new PostgresCircuitBreakerStore(
    {
      ...adapted,
      query: (text, params) => {
        checks.sent++;
        return adapted.query(text, params);
      },
    },
    undefined,
    { timeoutMs: TIMEOUT_MS },
  );
  const answer = await store.getState(KEY).then(() => "answered", (error) => error.sqlState);
  assertEquals(answer, "25006");
  await until(() => checks.sent >= 5, 30_000);
  assertEquals([await pidOf(), lost], [pid, []]);
  await client.end();
});
