/**
 * A failover: a primary, a standby, and pools that keep their sessions with one of them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect } from "../support/database.ts";
import { type PostgresServer, startPostgres } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { DRIVERS } from "./messages.ts";
import { Noise } from "./noise.ts";
import { ObservedStore } from "./observed_store.ts";
import { openSharedPool, type SharedPool, Traffic } from "./shared_pool.ts";
import { type Standby, startStandby } from "./standby.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** The circuit that is read. */
export const KEY = "api";
/** Failures that the circuit has only on the server that takes no writes. */
export const MARK = 1234;
/** Sessions of each pool. */
export const SESSIONS = 4;
export const TIMEOUT_MS = 1000;
/** A store notices a read-only server once. Another time is for what was in flight meanwhile. */
export const MOST_OUTAGES = 2;
const RECOVERY_MS = 2000;

/** A store with its pool, and the rest of its program. */
export interface Player {
  observed: ObservedStore;
  pool: SharedPool;
  traffic: Traffic;
}

/** A server that takes writes, one that does not, a proxy before one of them, and pools behind it. */
export class Scene implements AsyncDisposable {
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
  async check(writable: string, mostOutages: number = MOST_OUTAGES): Promise<void> {
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
export async function openCircuit(url: string): Promise<void> {
  await using driver = await openPostgresJs(url, { max: 1 });
  await using store = new PostgresCircuitBreakerStore(driver.client, undefined, {
    timeoutMs: 30_000,
  });
  await store.transition(KEY, "open");
}

/** Marks the circuit on a server, whatever its sessions may do by default, and on that one alone. */
export async function mark(url: string, failures: number): Promise<void> {
  await using sql = connect(url);
  await sql`set default_transaction_read_only = off`;
  await sql`set synchronous_commit = local`;
  await sql`
    insert into stoma_circuit_breakers (key, failure_count) values (${KEY}, ${failures})
    on conflict (key) do update set failure_count = excluded.failure_count`;
}

/** Leaves the standby behind: it keeps the mark, and hears nothing of what comes after. */
export async function leaveBehind({ primary, standby }: Scene): Promise<void> {
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
export async function demote({ primary }: Scene): Promise<void> {
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
