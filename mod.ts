/**
 * A shared circuit breaker store on PostgreSQL: when one gateway instance learns that an upstream
 * is down, all know. It is a `CircuitBreakerStore` for the Stoma gateway's `circuitBreaker` policy,
 * and for any other breaker through the same interface, on Deno, Node and Bun.
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

export { CircuitBreaker, PlainEventTarget } from "./src/breaker/circuit_breaker.ts";
export {
  circuitErrorResponse,
  type CircuitErrorResponseOptions,
} from "./src/breaker/error_response.ts";
export {
  type CallEnd,
  type CallReturn,
  type CallThrow,
  defaultClassify,
} from "./src/breaker/classify.ts";
export {
  CallTimeoutError,
  CircuitOpenError,
  type CircuitOpenErrorOptions,
  isCallTimeoutError,
  isCircuitOpenError,
} from "./src/breaker/errors.ts";
export type {
  CallRejection,
  CallReport,
  CallTimeout,
  CircuitBreakerCallbacks,
  CircuitBreakerEvent,
  CircuitBreakerEventMap,
  CircuitBreakerEventType,
  CircuitBreakerListener,
  CircuitSighting,
  FallbackUse,
  HiddenFailure,
  ListenerOptions,
} from "./src/breaker/events.ts";
export type {
  BreakerPermit,
  BreakerStore,
  CallContext,
  CircuitBreakerOptions,
  ExecuteOptions,
  Fallback,
  FallbackContext,
} from "./src/breaker/options.ts";
export type { WebResponse } from "./src/platform.ts";
export type {
  FetchFunction,
  FetchTarget,
  GlobalFetch,
  WrapFetchOptions,
} from "./src/breaker/wrap_fetch.ts";
export type { CallSignal, PlainSignal } from "./src/breaker/signal.ts";
export {
  CircuitBreakerStoreError,
  type CircuitBreakerStoreErrorOptions,
  isCircuitBreakerStoreError,
  isSchemaError,
  isStoreOverloadError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  SchemaError,
  StoreOverloadError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "./src/errors.ts";
export type { CircuitKey } from "./src/key.ts";
export { InMemoryCircuitBreakerStore } from "./src/memory_store.ts";
export type { ResetBackoff, RuleOptions } from "./src/options/rule_options.ts";
export type {
  InMemoryCircuitBreakerStoreOptions,
  OutageBeginning,
  OutageChange,
  OutageEnd,
  PolicyOnlyOptions,
  PostgresCircuitBreakerStoreOptions,
} from "./src/options/store_options.ts";
export type { AcquireOptions, Permit, PermitOutcome } from "./src/permit.ts";
export { migrate, type MigrateOptions } from "./src/postgres/migrate.ts";
export { schemaSql, type SchemaSqlOptions } from "./src/postgres/schema.ts";
export { PostgresCircuitBreakerStore } from "./src/store.ts";
export type { CircuitForce, CircuitInstance, CircuitListing } from "./src/listing_types.ts";
export type {
  ActOptions,
  CircuitChange,
  CircuitChangeCause,
  ForceOptions,
  HistoryOptions,
  ListOptions,
  PruneOptions,
  WatchBreak,
  WatchOptions,
} from "./src/operator_types.ts";
export type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitState,
  PostgresClient,
  ResultOptions,
  Unlisten,
} from "./src/types.ts";
