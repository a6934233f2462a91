import { assert, assertEquals } from "@std/assert";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
  StoreTimeoutError,
} from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const OPTIONS = { resetTimeoutMs: 30_000, probeTimeoutMs: 12_000, failureThreshold: 3 };

/** A table on a clock of its own, and a client that counts its statements. */
async function openStage() {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client, raw } = cleanup.use(await openPostgresJs(database.url, { max: 4 }));
  await migrate(client);
  const clock = { at: 1000 };
  const watched = {
    statements: 0,
    isHanging: false,
    query(text: string, params?: unknown[]): ReturnType<PostgresClient["query"]> {
      watched.statements++;
      return watched.isHanging ? new Promise(() => {}) : client.query(text, params);
    },
  };
  const kept = cleanup.move();
  return {
    clock,
    client: watched,
    sql: raw,
    open: (options: PostgresCircuitBreakerStoreOptions = {}) =>
      new PostgresCircuitBreakerStore(watched, { ...OPTIONS, now: () => clock.at, ...options }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

type Stage = Awaited<ReturnType<typeof openStage>>;

async function acquireProbe(
  { clock }: Stage,
  store: PostgresCircuitBreakerStore,
  signal?: Listened,
) {
  await store.transition("api", "open");
  clock.at += OPTIONS.resetTimeoutMs;
  const permit = await store.acquire("api", { signal });
  assert(permit.isProbe);
  return permit;
}

/** A signal that knows its listeners. */
class Listened {
  readonly listeners = new Set<() => void>();
  aborted = false;

  addEventListener(_: "abort", listener: () => void): void {
    this.listeners.add(listener);
  }

  removeEventListener(_: "abort", listener: () => void): void {
    this.listeners.delete(listener);
  }
}

Deno.test("permits of a cached closed circuit cost no statement and no timer", async () => {
  await using stage = await openStage();
  await using store = stage.open({ now: undefined, maxStalenessMs: 60_000 });
  const call = async () => {
    const permit = await store.acquire("api", { signal: new AbortController().signal });
    await permit.report("success", { durationMs: 3 });
  };
  await call();
  const before = stage.client.statements;
  const setTimer = globalThis.setTimeout;
  let timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimer>) => {
    timers++;
    return setTimer(...args);
  }) as typeof setTimer;
  try {
    for (let calls = 0; calls < 1000; calls++) await call();
  } finally {
    globalThis.setTimeout = setTimer;
  }
  assertEquals([stage.client.statements - before, timers], [0, 0]);
  assertEquals((await store.peek("api")).successCount, 1001);
});

Deno.test("the result of a probe is recorded, and then decides on its round", async () => {
  await using stage = await openStage();
  await using store = stage.open();
  const permit = await acquireProbe(stage, store);
  await store.peek("api"); // what announces the claim was sent before it
  const before = stage.client.statements;
  await permit.report("failure");
  const { failureCount, state } = await store.peek("api");
  assertEquals([failureCount, state], [1, "open"]);
  // The record, the settlement, its announcement, and the read.
  assertEquals(stage.client.statements - before, 4);
});

Deno.test("a permit listens to its signal only while a probe is under way", async () => {
  await using stage = await openStage();
  await using store = stage.open();
  const signal = new Listened();
  const normal = await store.acquire("other", { signal });
  assertEquals(signal.listeners.size, 0);
  await normal.report("success");
  const permit = await acquireProbe(stage, store, signal);
  assertEquals(signal.listeners.size, 1);
  await store.acquire("api", { signal }); // is refused
  assertEquals(signal.listeners.size, 1);
  await permit.report("success");
  assertEquals(signal.listeners.size, 0);
});

Deno.test("the result of a permit whose row was removed is counted in a new one", async () => {
  await using stage = await openStage();
  await using store = stage.open();
  const permit = await acquireProbe(stage, store);
  await stage.sql`delete from stoma_circuit_breakers`;
  await permit.report("failure");
  const [row] = await stage.sql`select state, failure_count::int from stoma_circuit_breakers`;
  assertEquals({ ...row }, { state: "closed", failure_count: 1 });
});

Deno.test("close() that cannot hand back a probe ends in time, and reports the error", async () => {
  await using stage = await openStage();
  const errors: Error[] = [];
  const store = stage.open({ timeoutMs: 300, onError: (error) => void errors.push(error) });
  await acquireProbe(stage, store);
  stage.client.isHanging = true;
  const beganAt = performance.now();
  await store.close();
  const tookMs = performance.now() - beganAt;
  assert(tookMs < 600, `${tookMs} ms`);
  assert(errors.some((error) => error instanceof StoreTimeoutError), `${errors}`);
});

Deno.test("a report that fails rejects, and is not made again", async () => {
  await using stage = await openStage();
  const store = stage.open({ timeoutMs: 200 });
  const permit = await store.acquire("api");
  stage.client.isHanging = true;
  const failed = await permit.report("failure").then(() => undefined, (error) => error);
  assert(failed instanceof StoreTimeoutError, `${failed}`);
  const before = stage.client.statements;
  await permit.report("failure");
  assertEquals(stage.client.statements, before);
  await store.close();
});
