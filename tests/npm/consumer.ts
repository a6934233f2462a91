/** A program that uses the package as its users do; it is compiled in many settings, not run. */

import {
  CircuitBreaker,
  type CircuitBreakerSnapshot,
  type CircuitBreakerStore,
  type CircuitListing,
  InMemoryCircuitBreakerStore,
  isCircuitBreakerStoreError,
  isSchemaError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
  schemaSql,
} from "@circuit-breaker/postgres";
import { circuitBreaker as express, circuitErrorHandler } from "@circuit-breaker/postgres/express";
import {
  circuitBreaker as hono,
  circuitErrorResponse,
  guard,
} from "@circuit-breaker/postgres/hono";
import { fromBunSql } from "@circuit-breaker/postgres/bun-sql";
import { fromDenoPostgres } from "@circuit-breaker/postgres/deno-postgres";
import { fromNeon } from "@circuit-breaker/postgres/neon";
import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
import { fromPglite } from "@circuit-breaker/postgres/pglite";
import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";

type Rows = Promise<{ rows: unknown[] }>;

/** The drivers as a user without their types sees them. */
interface Drivers {
  bun: { unsafe(text: string, values?: unknown[]): Promise<unknown[]> };
  deno: { queryObject(text: string, params?: unknown[]): Rows };
  neon: { query(text: string): Rows; transaction(queries: unknown[]): unknown };
  node: { query(config: { text: string }): Rows; connect(): Promise<void> };
  pglite: { query(text: string, params?: unknown[]): Rows; exec(text: string): Promise<void> };
  postgresJs: { unsafe(text: string, params?: unknown[]): Promise<unknown[]> };
}

export function clientsOf(drivers: Drivers): PostgresClient[] {
  return [
    fromBunSql(drivers.bun),
    fromDenoPostgres(drivers.deno),
    fromNeon(drivers.neon, { timeoutMs: 2000 }),
    fromNodePostgres(drivers.node, { prepare: false }),
    fromPglite(drivers.pglite),
    fromPostgresJs(drivers.postgresJs, { prepare: true }),
  ];
}

export async function use(client: PostgresClient): Promise<string> {
  await migrate(client, "ops.circuits");
  const store = new PostgresCircuitBreakerStore(client, "ops.circuits", { now: () => 0 });
  const stores: (CircuitBreakerStore & AsyncDisposable)[] = [
    store,
    new InMemoryCircuitBreakerStore(),
  ];
  try {
    const one: CircuitBreakerSnapshot = await store.peek("api");
    const many: CircuitBreakerSnapshot[] = await store.peek(["api", "other"]);
    const listed: CircuitListing[] = await store.list({ state: "open", limit: 10 });
    return schemaSql() + one.state + many.length + listed.length;
  } catch (error) {
    if (isSchemaError(error) || isCircuitBreakerStoreError(error)) return String(error.sqlState);
    throw error;
  } finally {
    for (const each of stores) await each[Symbol.asyncDispose]();
  }
}

export function guardAll(store: PostgresCircuitBreakerStore): unknown[] {
  const breaker = new CircuitBreaker(store, { callTimeoutMs: 1000 });
  const own = (input: string, init?: { method?: string }) => Promise.resolve(input + init?.method);
  const guarded: Promise<string> = breaker.wrapFetch(own, { key: "api" })("/a", { method: "GET" });
  return [
    guarded,
    express(breaker, { key: "api" }),
    circuitErrorHandler(),
    hono(breaker),
    guard(breaker, "api", (_c, { isProbe }) => {
      throw new Error(String(isProbe));
    }),
    circuitErrorResponse(new Error()),
  ];
}

export function misuse(client: PostgresClient): void {
  // @ts-expect-error A state that there is not.
  new InMemoryCircuitBreakerStore().transition("api", "ajar");
  // @ts-expect-error Something that is not a client.
  new PostgresCircuitBreakerStore("postgres://localhost/app");
  // @ts-expect-error A client instead of a driver.
  fromPostgresJs(client);
}
