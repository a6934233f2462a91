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
import { connect, urlAs } from "../support/database.ts";
import { type PostgresServer, startPostgres } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { DRIVERS } from "./messages.ts";
import { Noise } from "./noise.ts";
import { ObservedStore } from "./observed_store.ts";
import { openSharedPool, type SharedPool, Traffic } from "./shared_pool.ts";
import { last } from "./stage.ts";
import { type Standby, startStandby } from "./standby.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const KEY = "api";
/** Failures that the circuit has only on the server that takes no writes. */
const MARK = 1234;
const SESSIONS = 4;
const RECOVERY_MS = 2000;
const TIMEOUT_MS = 1000;
/** How long there is no other server, and how often a store asks in that time at most. */
const WAITING_MS = 3000;
const MOST_CHECKS = 10;
/** A store notices a read-only server once. Another time is for what was in flight meanwhile. */
const MOST_OUTAGES = 2;

interface Player {
  observed: ObservedStore;
  pool: SharedPool;
  traffic: Traffic;
}

/** A server that takes writes, one that does not, a proxy before one of them, and pools behind it. */
class Scene implements AsyncDisposable {
  readonly noise: Noise;
  readonly players: Player[] = [];
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    readonly primary: PostgresServer,
    readonly standby: Standby,
    readonly proxy: TcpProxy,
    cleanup: AsyncDisposableStack,
  ) {
    this.#cleanup = cleanup;
    this.noise = cleanup.use(new Noise());
  }

  static async open(): Promise<Scene> {
    await using cleanup = new AsyncDisposableStack();
    const primary = cleanup.use(await startPostgres());
    const standby = cleanup.use(await startStandby(primary));
    await using driver = await openPostgresJs(primary.url, { max: 1 });
    await migrate(driver.client);
    const proxy = cleanup.use(TcpProxy.start(primary.url));
    return new Scene(primary, standby, proxy, cleanup.move());
  }

  /** Opens a pool for each driver and mode, with and without a cache; a store on each is made. */
  openPools(): void {
    for (const driver of DRIVERS) {
      for (const onOutage of ["throw", "local"] as const) {
        for (const maxStalenessMs of [0, 200]) {
          const name = `${driver} ${onOutage} ${maxStalenessMs}`;
          const url = this.proxy.urlOf(this.primary.url);
          const pool = this.#cleanup.use(openSharedPool(driver, url, name, SESSIONS));
          const options = { onOutage, maxStalenessMs, timeoutMs: TIMEOUT_MS };
          const observed = new ObservedStore(name, pool.client, options, {
            key: KEY,
            isForbidden: ({ failureCount }) => failureCount === MARK,
            isCurrent: ({ state }) => state === "open",
            noise: this.noise,
          });
          this.#cleanup.use(observed);
          const traffic = this.#cleanup.use(new Traffic(pool));
          this.players.push({ observed, pool, traffic });
        }
      }
    }
  }

  /** Has the pools open their sessions, before anything else uses them. */
  async openSessions(sessions: number): Promise<void> {
    await this.each(({ pool }) => pool.open(sessions));
  }

  /** Starts the stores, and the rest of the program. */
  start(): void {
    for (const { observed, traffic } of this.players) {
      observed.start();
      traffic.start();
    }
  }

  each<Result>(action: (player: Player) => Promise<Result>): Promise<Result[]> {
    return Promise.all(this.players.map(action));
  }

  /** Sends new connections to a server from now on, and checks that every store works in time. */
  async recoverThrough(url: string): Promise<void> {
    this.proxy.redirect(url);
    await this.recover();
  }

  async recover(): Promise<void> {
    const took = await this.each(({ observed }) => observed.recover());
    const late = this.players.flatMap(({ observed }, index) =>
      took[index]! < RECOVERY_MS ? [] : [`${observed.name} after ${Math.round(took[index]!)} ms`]
    );
    assertEquals(late, [], "stores recovered too late");
  }

  /** Sessions of the pools on a server, without those that listen: no call meets them. */
  async sessionsOn(url: string): Promise<number> {
    await using sql = connect(url);
    const names = this.players.map(({ observed }) => observed.name);
    const rows = await sql`
      select from pg_stat_activity
      where application_name = any(${names}) and query not like 'listen %'`;
    return rows.length;
  }

  /** Ends all calls, and checks what every store said and what the writable server holds. */
  async check(writable: string, mostOutages = MOST_OUTAGES): Promise<void> {
    await this.each(({ observed }) => observed.end());
    await using sql = connect(writable);
    const problems: string[] = [];
    for (const { observed, traffic } of this.players) {
      const { name, wrong, events, account } = observed;
      const causes = events.flatMap(({ cause }) => cause === undefined ? [] : [cause.message]);
      if (causes.length > mostOutages) {
        problems.push(`${name}: ${causes.length} outages: ${causes.join(" | ")}`);
      }
      if (wrong.length > 0) problems.push(`${name}: ${wrong.length} times ${describe(wrong[0])}`);
      const { failures, done } = traffic;
      if (failures.length > 0) problems.push(`${name}, application: ${describe(failures[0])}`);
      if (done === 0) problems.push(`${name}, application: nothing went well`);
      const [row] = await sql<{ count: number }[]>`
        select failure_count::int as count from stoma_circuit_breakers where key = ${name}`;
      const { acknowledged, unknown } = account;
      const count = row?.count ?? 0;
      if (count < acknowledged || count > acknowledged + unknown) {
        problems.push(`${name}: ${acknowledged} acknowledged, ${unknown} unknown, ${count} stored`);
      }
    }
    assertEquals(problems, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** Opens the circuit on the server that takes writes. */
async function openCircuit(url: string): Promise<void> {
  await using driver = await openPostgresJs(url, { max: 1 });
  await using store = new PostgresCircuitBreakerStore(driver.client, undefined, {
    timeoutMs: 30_000,
  });
  await store.transition(KEY, "open");
}

/** Marks the circuit on a server, whatever its sessions may do by default, and on that one alone. */
async function mark(url: string, failures: number): Promise<void> {
  await using sql = connect(url);
  await sql`set default_transaction_read_only = off`;
  await sql`set synchronous_commit = local`;
  await sql`
    insert into stoma_circuit_breakers (key, failure_count) values (${KEY}, ${failures})
    on conflict (key) do update set failure_count = excluded.failure_count`;
}

/** Leaves the standby behind: it keeps the mark, and hears nothing of what comes after. */
async function leaveBehind({ primary, standby }: Scene): Promise<void> {
  await mark(primary.url, MARK);
  await using sql = connect(standby.url);
  await until(async () => {
    const rows = await sql`select from stoma_circuit_breakers where failure_count = ${MARK}`;
    return rows.length === 1;
  }, 30_000);
  await sql`select pg_wal_replay_pause()`;
  await until(async () => {
    const [row] = await sql`select pg_get_wal_replay_pause_state() as state`;
    return row!.state === "paused";
  }, 30_000);
  await mark(primary.url, 1);
  await openCircuit(primary.url);
}

/** Makes every session of a server read-only, and keeps the sessions. */
async function demote({ primary }: Scene): Promise<void> {
  await using sql = connect(primary.url);
  await sql`alter system set default_transaction_read_only = on`;
  await sql`select pg_reload_conf()`;
  await until(async () => {
    const [row] = await sql`show default_transaction_read_only`;
    return row!.default_transaction_read_only === "on";
  }, 30_000);
}

function describe(value: unknown): string {
  return value instanceof Error ? `${value}` : JSON.stringify(value);
}

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
    assert(late.length <= 4 && late.length < arrivals.length - late.length, said);
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
