import { InMemoryCircuitBreakerStore, PostgresCircuitBreakerStore } from "../../mod.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";
import type { CircuitBreakerStore } from "../../src/types.ts";
import { loadStomaAdapters, type StomaRedisClient } from "../../tests/support/stoma.ts";
import { openClient } from "./client.ts";
import { gatheredFloor } from "./gathered_floor.ts";
import type { Target } from "./load.ts";

/**
 * The names of the contenders: this library's two stores, the shared one once more with
 * {@linkcode STALENESS_MS}, Stoma's own two stores, and the bare statement, sent once for each call or
 * once for all calls that wait.
 */
export type ContenderName =
  | "memory"
  | "stale"
  | "ours"
  | "original"
  | "redis"
  | "floor"
  | "gathered";

/** All contenders, in the order of the table. */
export const CONTENDERS: readonly ContenderName[] = [
  "memory",
  "stale",
  "ours",
  "original",
  "redis",
  "floor",
  "gathered",
];

/** The `maxStalenessMs` of the contender that answers from memory within a bound. */
export const STALENESS_MS = 1000;

/** Where a contender's circuits are; enough to open it in any process. */
export interface Endpoint {
  name: ContenderName;
  /** A connection string, or nothing for a store in memory. */
  url: string;
  /** The table, where there is one. */
  table: string;
  /** Stoma's own stores, bundled. */
  adaptersPath: string;
}

/** A contender ready for load. */
export interface Contender extends AsyncDisposable {
  readonly name: ContenderName;
  readonly target: Target;
  /** The target as a store, where it is one. */
  readonly store?: CircuitBreakerStore;
  /** How many statements or commands it has sent so far. */
  statements(): number;
  /** For how long a success may have been acknowledged before it is counted, in milliseconds. */
  readonly countsWithinMs?: number;
}

/** Opens a contender. */
export async function openContender(endpoint: Endpoint): Promise<Contender> {
  switch (endpoint.name) {
    case "memory":
      return memory();
    case "ours":
      return ours(endpoint);
    case "stale":
      return {
        // Not as late as by default: the benchmark waits for the successes to see that none is lost.
        ...ours(endpoint, { maxStalenessMs: STALENESS_MS, countWithinMs: STALENESS_MS }),
        countsWithinMs: STALENESS_MS,
      };
    case "original":
      return await original(endpoint);
    case "redis":
      return await redis(endpoint);
    case "floor":
      return floor(endpoint);
    case "gathered":
      return gathered(endpoint);
  }
}

function memory(): Contender {
  const store = new InMemoryCircuitBreakerStore();
  return {
    name: "memory",
    target: store,
    store,
    statements: () => 0,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function ours(
  { name, url, table }: Endpoint,
  options?: PostgresCircuitBreakerStoreOptions,
): Contender {
  const connection = openClient(url);
  const store = new PostgresCircuitBreakerStore(connection.client, table, options);
  return {
    name,
    target: store,
    store,
    statements: connection.statements,
    async [Symbol.asyncDispose]() {
      await store.close();
      await connection[Symbol.asyncDispose]();
    },
  };
}

async function original({ url, table, adaptersPath }: Endpoint): Promise<Contender> {
  const { PostgresCircuitBreakerStore } = await loadStomaAdapters(adaptersPath);
  const connection = openClient(url);
  const store = new PostgresCircuitBreakerStore(connection.client, table);
  return { name: "original", target: store, store, ...connection };
}

async function redis({ url, adaptersPath }: Endpoint): Promise<Contender> {
  const { RedisCircuitBreakerStore } = await loadStomaAdapters(adaptersPath);
  const { Redis } = await import("ioredis");
  const raw = new Redis(url);
  let sent = 0;
  const client: StomaRedisClient = {
    get(key) {
      sent++;
      return raw.get(key);
    },
    set(key, value, ...args) {
      sent++;
      return (raw.set as (...args: unknown[]) => Promise<unknown>).call(raw, key, value, ...args);
    },
    del: (...keys) => raw.del(...keys),
    eval: (script, keys, ...args) => raw.eval(script, keys, ...args),
  };
  const store = new RedisCircuitBreakerStore(client, "bench:");
  return {
    name: "redis",
    target: store,
    store,
    statements: () => sent,
    async [Symbol.asyncDispose]() {
      await raw.quit();
    },
  };
}

/** The least that PostgreSQL and the driver can do: an existing row by its key, rows as they come. */
function floor({ url, table }: Endpoint): Contender {
  const columns = "state, failure_count, success_count, last_failure_time, last_state_change";
  const read = `select ${columns} from ${table} where key = $1`;
  const record = `update ${table} set success_count = success_count + 1 where key = $1
    returning ${columns}`;
  const connection = openClient(url);
  const target: Target = {
    getState: (key) => connection.client.query(read, [key]),
    recordSuccess: (key) => connection.client.query(record, [key]),
  };
  return { name: "floor", target, ...connection };
}

function gathered({ url, table }: Endpoint): Contender {
  const connection = openClient(url);
  const target = gatheredFloor(connection.client, table);
  // A gateway with a healthy upstream calls no other method.
  const store = target as CircuitBreakerStore;
  return { name: "gathered", target, store, ...connection };
}
