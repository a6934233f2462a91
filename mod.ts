/**
 * A shared circuit breaker store on PostgreSQL: one gateway instance learns that an upstream is
 * down, and all know. A drop-in `CircuitBreakerStore` for the Stoma gateway's `circuitBreaker`
 * policy, for any other breaker through the same interface, on Deno, Node and Bun.
 *
 * @example With any driver: here PGlite, which needs no adapter
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * await using store = new PostgresCircuitBreakerStore(db);
 *
 * await store.recordFailure("payments");
 * await store.transition("payments", "open");
 * assertEquals((await store.getState("payments")).state, "open");
 * await db.close();
 * ```
 *
 * @module
 */

export {
  CircuitBreakerStoreError,
  type CircuitBreakerStoreErrorOptions,
  isCircuitBreakerStoreError,
  isSchemaError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  SchemaError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "./src/errors.ts";
export { InMemoryCircuitBreakerStore } from "./src/memory_store.ts";
export type {
  InMemoryCircuitBreakerStoreOptions,
  OutageChange,
  PolicyOnlyOptions,
  PostgresCircuitBreakerStoreOptions,
} from "./src/options/store_options.ts";
export { migrate } from "./src/postgres/migrate.ts";
export { schemaSql } from "./src/postgres/schema.ts";
export { PostgresCircuitBreakerStore } from "./src/store.ts";
export type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitChange,
  CircuitForce,
  CircuitListing,
  CircuitState,
  ForceOptions,
  ListOptions,
  PostgresClient,
  PruneOptions,
  Unlisten,
  WatchOptions,
} from "./src/types.ts";
