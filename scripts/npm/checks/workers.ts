/**
 * Stores at the module scope of a Worker: the installed package in workerd, in front of a server that is
 * killed, hung and started again.
 *
 * @module
 */

import { migrate } from "../../../mod.ts";
import { fromPostgresJs } from "../../../src/adapters/postgres_js.ts";
import { TcpProxy } from "../../../tests/faults/tcp_proxy.ts";
import type { SeenOutage } from "../../../tests/npm/workers/messages.ts";
import { startUpstream } from "../../../tests/npm/upstream.ts";
import { connect } from "../../../tests/support/database.ts";
import { type PostgresServer, startPostgres } from "../../../tests/support/postgres_server.ts";
import { bundleStoma } from "../../../tests/support/stoma.ts";
import { until } from "../../../tests/support/until.ts";
import { transplant } from "../transplant.ts";
import type { Ground } from "./projects.ts";
import { ensure, type Result, resultOf } from "./report.ts";
import { checkWorkerApp } from "./worker_app.ts";
import { Workerd } from "./workerd.ts";

const WORKER = "tests/npm/workers/worker.ts";
const TIMEOUT_MS = 500;
/** What a busy machine may add to a deadline. */
const ROOM_MS = 100;
const BOUND_MS = 400;
/** Longer than the store takes to count successes. */
const CACHED_MS = 3000;

type Sql = ReturnType<typeof connect>;

/** What the checks work with. */
interface Scene {
  readonly worker: Workerd;
  readonly server: PostgresServer;
  readonly proxy: TcpProxy;
  readonly upstream: Awaited<ReturnType<typeof startUpstream>>;
}

/** Runs the checks one after the other. */
export async function checkWorkers(
  { queue, manifest, tarball }: Pick<Ground, "queue" | "manifest" | "tarball">,
): Promise<Result[]> {
  await using resources = new AsyncDisposableStack();
  const tools = ["esbuild", "miniflare", "pg"].map((name) =>
    manifest.imports[name]!.replace(/^npm:/, "")
  );
  const [project, server, stoma] = await Promise.all([
    queue.project("workers", [tarball, ...tools]),
    startPostgres(),
    bundleStoma(),
  ]);
  resources.use(server);
  resources.use(stoma);
  const upstream = await startUpstream();
  resources.defer(() => upstream.close());
  const proxy = resources.use(TcpProxy.start(server.url));
  await transplant(manifest, [WORKER], project);
  await withSql(server, (sql) => migrate(fromPostgresJs(sql), "circuits"));
  const hyperdrive = new URL(proxy.urlOf(server.url));
  hyperdrive.password = "unused";
  const worker = resources.use(
    await Workerd.start({
      project,
      worker: WORKER,
      gatewayPath: stoma.gatewayPath,
      hyperdrive: hyperdrive.href,
      upstream: upstream.url,
    }),
  );
  const scene = { worker, server, proxy, upstream };
  const results: Result[] = [];
  for (const [name, check] of Object.entries(CHECKS)) {
    results.push(await resultOf(name, () => check(scene)));
  }
  results.push(await checkWorkerApp(project, server.url));
  return results;
}

const CHECKS: Record<string, (scene: Scene) => Promise<void>> = {
  async "500 requests at 50 in flight share a store at module scope"({ worker, server }) {
    let begun = 0;
    const failed: unknown[] = [];
    await Promise.all(Array.from({ length: 50 }, async () => {
      while (begun++ < 500) {
        const { error } = await worker.call("patient", "recordFailure", "many");
        if (error !== undefined) failed.push(error);
      }
    }));
    ensure(failed.length === 0, said(failed.slice(0, 3)));
    await isStored(server, "many", "failure_count", 500);
  },

  async "a store of one request works with waitUntil, and none without it"({ worker }) {
    const { result } = await worker.call("of request", "getState", "many");
    ensure((result as { failureCount: number }).failureCount === 500, said(result));
    const { error } = await worker.call("unbound", "getState", "many");
    ensure(error?.message.includes('pass "waitUntil"') === true, said(error));
  },

  async "clients that leave in the middle of a statement harm nobody"({ worker, server, proxy }) {
    for (const store of ["patient", "cached"]) {
      proxy.delay(60);
      await Promise.all(
        Array.from(
          { length: 20 },
          (_, i) =>
            i % 2 === 0
              ? worker.leave(40, store, "recordFailure", `left ${store}`)
              : worker.leave(40, store, "getState", `left ${store}`),
        ),
      );
      proxy.delay(0);
      const { error, ms } = await worker.call(store, "getState", `left ${store}`);
      ensure(error === undefined && ms < TIMEOUT_MS, said({ store, error, ms }));
      // What was sent is counted: the store keeps its request alive for that.
      await isStored(server, `left ${store}`, "failure_count", 10);
    }
  },

  async "a database that hangs costs a request its time, and later ones none"({ worker, proxy }) {
    await isWell(worker);
    proxy.hang();
    const first = await Promise.all(
      Array.from({ length: 20 }, () => worker.call("plain", "recordFailure", "hung")),
    );
    const slow = first.filter(({ ms, error }) => error !== undefined || ms > TIMEOUT_MS + ROOM_MS);
    ensure(slow.length === 0, `served slowly: ${said(slow)}`);
    ensure((await lastOutage(worker))?.isOut === true, "no outage has begun");
    const { ms } = await worker.call("plain", "recordFailure", "hung");
    ensure(ms < ROOM_MS, `took ${ms} ms during an outage`);
    await proxy.resume();
    await isWell(worker);
  },

  async "a database that goes away and comes back"({ worker, server }) {
    const served: number[] = [];
    const failures: unknown[] = [];
    let isOver = false;
    const traffic = (async () => {
      while (!isOver && failures.length === 0) {
        const { error, ms } = await worker.call("plain", "getState", "many")
          .catch((error) => ({ error, ms: 0 }));
        served.push(ms);
        if (error !== undefined) failures.push(error);
        await pause(20);
      }
    })();
    server.signal("SIGKILL");
    await server.exited;
    await until(async () => (await lastOutage(worker))?.isOut === true, 10_000);
    await pause(1500);
    await server.restart();
    const backAt = Date.now();
    await isWell(worker);
    isOver = true;
    await traffic;
    const { at } = (await lastOutage(worker))!;
    ensure(failures.length === 0, said(failures.slice(0, 3)));
    ensure(Math.max(...served) < TIMEOUT_MS + ROOM_MS, `a request took ${Math.max(...served)} ms`);
    ensure(at - backAt < 1000, `the outage ended ${at - backAt} ms after the database came back`);
  },

  async "a cache refreshes once in half of its bound, and counts each success once"(scene) {
    const { worker, server } = scene;
    await worker.call("cached", "recordSuccess", "cached");
    const beganAt = Date.now();
    const before = (await worker.seen()).statements.length;
    let successes = 1;
    while (Date.now() - beganAt < CACHED_MS) {
      const answers = await Promise.all([
        worker.call("cached", "getState", "cached"),
        worker.call("cached", "recordSuccess", "cached"),
      ]);
      successes++;
      const failed = answers.find(({ error }) => error !== undefined);
      ensure(failed === undefined, said(failed));
      await pause(5);
    }
    const statements = (await worker.seen()).statements.slice(before);
    const refreshes = statements.filter(({ text }) => text.includes("pg_current_snapshot"));
    const most = Math.ceil((Date.now() - beganAt) / (BOUND_MS / 2)) + 1;
    ensure(
      refreshes.length > most / 2 && refreshes.length <= most,
      `${refreshes.length} refreshes, at most ${most} are due`,
    );
    ensure(
      statements.length < refreshes.length * 2 + 20,
      `${statements.length} statements for ${successes} requests`,
    );
    // A part was counted by a flush, and `close` counts the rest.
    const flushed = await stored(server, "cached", "success_count");
    ensure(flushed > 0 && flushed < successes, `${flushed} of ${successes} were flushed`);
    const { error } = await worker.call("cached", "close");
    ensure(error === undefined, said(error));
    await isStored(server, "cached", "success_count", successes);
  },

  async "Stoma's policy admits one probe"({ worker, upstream }) {
    upstream.reset();
    upstream.status = 500;
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push(await worker.request("/orders"));
    ensure(`${statuses}` === "500,500,500,503", `received ${statuses}`);
    await pause(350);
    upstream.reset();
    upstream.status = 500;
    const probes = await Promise.all(
      Array.from({ length: 20 }, () => worker.request("/orders")),
    );
    ensure(upstream.received === 1, `${upstream.received} probes, received ${probes}`);
    await pause(350);
    upstream.reset();
    ensure(await worker.request("/orders") === 200, "the probe was not admitted");
    ensure(await worker.request("/orders") === 200, "the circuit is not closed");
  },

  async "a CircuitBreaker at module scope ends calls in time, and admits one probe"(scene) {
    const { worker, upstream } = scene;
    for (const path of ["/guarded/memory", "/guarded/database"]) {
      const many = () => Promise.all(Array.from({ length: 20 }, () => worker.request(path)));
      upstream.reset();
      upstream.status = 500;
      // Results are recorded while the next request comes.
      await until(async () => await worker.request(path) === 503);
      ensure(upstream.received >= 3, `${path} opened after ${upstream.received} failures`);
      await pause(350);
      upstream.reset();
      upstream.hangs = true;
      const probes = await many();
      const timeouts = probes.filter((status) => status === 504).length;
      ensure(upstream.received === 1 && timeouts === 1, `${path} received ${probes}`);
      upstream.reset();
      const two = async () => `${await Promise.all([1, 2].map(() => worker.request(path)))}`;
      await until(async () => await two() === "200,200");
      // Calls of several requests end in time, each by the timer of its own request.
      upstream.hangs = true;
      const hung = await two();
      ensure(hung === "504,504", `${path} received ${hung}`);
      upstream.reset();
      ensure(await worker.request(path) === 200, `${path} is not closed`);
    }
  },

  async "a connection that its program ended is no outage"({ worker }) {
    const hasty = await worker.call("hasty", "getState", "many");
    ensure(hasty.error?.message.includes("must end a connection only") === true, said(hasty));
    ensure(await lastOutage(worker, "hasty") === undefined, "an outage has begun");
  },
};

function said(value: unknown): string {
  return JSON.stringify(value);
}

/** The last beginning or end of an outage that a store saw. */
async function lastOutage(worker: Workerd, store = "plain"): Promise<SeenOutage | undefined> {
  return (await worker.seen()).outages.findLast((each) => each.store === store);
}

/** Waits until the last outage has ended, while requests come. */
async function isWell(worker: Workerd): Promise<void> {
  await until(async () => {
    await worker.call("plain", "getState", "many");
    return (await lastOutage(worker))?.isOut !== true;
  }, 10_000);
}

async function withSql<Result>(
  { url }: PostgresServer,
  run: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  await using sql = connect(url);
  return await run(sql);
}

function stored(server: PostgresServer, key: string, column: string): Promise<number> {
  return withSql(server, async (sql) => {
    const rows = await sql`select ${sql(column)} as n from circuits where key = ${key}`;
    return Number(rows[0]?.["n"] ?? 0);
  });
}

async function isStored(
  server: PostgresServer,
  key: string,
  column: string,
  expected: number,
): Promise<void> {
  let found = 0;
  const holds = async () => (found = await stored(server, key, column)) === expected;
  await until(holds).catch(() => {
    throw new Error(`${column} of "${key}" is ${found}, expected ${expected}`);
  });
}

/** Lets time pass for what goes by it. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
