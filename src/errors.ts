/**
 * The errors that callers can catch. Each class has a brand that its type guard reads, so that a
 * guard also recognises an error of a second installed copy of this package.
 *
 * @module
 */

import { brand, hasBrand } from "./brand.ts";

/** Further facts about a {@linkcode CircuitBreakerStoreError}. */
export interface CircuitBreakerStoreErrorOptions extends ErrorOptions {
  /** The SQLSTATE the server answered with, for instance `"42501"`. */
  sqlState?: string | undefined;
}

/**
 * An operation of the store failed. `cause` is the driver's error. `sqlState` is the server's
 * SQLSTATE with any driver, where the server sent one.
 *
 * A store that fails says nothing about the upstream: this is not an open circuit.
 *
 * @example Recognising a failure of the store
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { isCircuitBreakerStoreError, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const refusing = {
 *   query: () => Promise.reject(Object.assign(new Error("permission denied"), { code: "42501" })),
 * };
 * try {
 *   await new PostgresCircuitBreakerStore(refusing).getState("api");
 * } catch (error) {
 *   assert(isCircuitBreakerStoreError(error));
 *   assertEquals(error.sqlState, "42501");
 * }
 * ```
 */
export class CircuitBreakerStoreError extends Error {
  /** The name of the class, for logs. */
  override name: string = "CircuitBreakerStoreError";
  /** The SQLSTATE the server answered with, `undefined` where it answered nothing. */
  readonly sqlState: string | undefined;

  /**
   * Makes an error.
   *
   * @param message What could not be done and why, in the form `Cannot do this: reason`.
   * @param options The driver's error as `cause`, and its SQLSTATE.
   */
  constructor(message: string, options: CircuitBreakerStoreErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.sqlState = options.sqlState;
    brand(this, "CircuitBreakerStoreError");
  }
}

/**
 * The table is missing, is not a circuit breaker table, lacks columns, or is newer than this
 * release. The message says what to do, most often: run `migrate`.
 *
 * @example Migrating when the table is missing
 * ```ts ignore
 * try {
 *   await store.getState("api");
 * } catch (error) {
 *   if (!isSchemaError(error)) throw error;
 *   await migrate(client);
 * }
 * ```
 */
export class SchemaError extends CircuitBreakerStoreError {
  /** The name of the class, for logs. */
  override name: "SchemaError" = "SchemaError" as const;

  /**
   * Makes an error.
   *
   * @param message What could not be done, why, and what to do about it.
   * @param options The driver's error as `cause`, and its SQLSTATE.
   */
  constructor(message: string, options: CircuitBreakerStoreErrorOptions = {}) {
    super(message, options);
    brand(this, "SchemaError");
  }
}

/**
 * An operation did not end within `timeoutMs`, or the server gave up on it (`statement_timeout`,
 * `lock_timeout`). It may or may not have taken effect.
 *
 * @example Recognising a database that does not answer
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreTimeoutError, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const hanging = { query: () => new Promise<never>(() => {}) };
 * const store = new PostgresCircuitBreakerStore(hanging, "circuits", { timeoutMs: 20 });
 * try {
 *   await store.getState("api");
 * } catch (error) {
 *   assert(isStoreTimeoutError(error));
 * }
 * store.destroy();
 * ```
 */
export class StoreTimeoutError extends CircuitBreakerStoreError {
  /** The name of the class, for logs. */
  override name: "StoreTimeoutError" = "StoreTimeoutError" as const;

  /**
   * Makes an error.
   *
   * @param message What could not be done and why.
   * @param options The driver's error as `cause`, and its SQLSTATE, where there is one.
   */
  constructor(message: string, options: CircuitBreakerStoreErrorOptions = {}) {
    super(message, options);
    brand(this, "StoreTimeoutError");
  }
}

/**
 * The database cannot be used at the moment: it is not reachable, shuts down, takes no writes, or
 * has no connection left. During a known outage every call fails with this error at once, and
 * `cause` is the error that began the outage. It says nothing about the upstream: it is not an open
 * circuit.
 *
 * @example A port that nothing listens on
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreUnavailableError, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
 * import postgres from "postgres";
 *
 * const sql = postgres("postgres://127.0.0.1:1/nothing");
 * const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql));
 * try {
 *   await store.getState("api");
 * } catch (error) {
 *   assert(isStoreUnavailableError(error));
 * }
 * store.destroy();
 * await sql.end({ timeout: 0 });
 * ```
 */
export class StoreUnavailableError extends CircuitBreakerStoreError {
  /** The name of the class, for logs. */
  override name: "StoreUnavailableError" = "StoreUnavailableError" as const;

  /**
   * Makes an error.
   *
   * @param message What could not be done and why.
   * @param options The driver's error as `cause`, and its SQLSTATE, where there is one.
   */
  constructor(message: string, options: CircuitBreakerStoreErrorOptions = {}) {
    super(message, options);
    brand(this, "StoreUnavailableError");
  }
}

/**
 * Too many calls of this instance wait for the database. The store refused this call before it sent
 * anything: the call took no effect and can be made again later. The database itself may be well.
 * With `onOutage: "local"` the store answers such a call locally, as in an outage.
 *
 * @example Shedding load
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreOverloadError, StoreOverloadError } from "@circuit-breaker/postgres";
 *
 * const error: unknown = new StoreOverloadError("Cannot accept call: 10000 calls already wait");
 * assert(isStoreOverloadError(error));
 * ```
 */
export class StoreOverloadError extends CircuitBreakerStoreError {
  /** The name of the class, for logs. */
  override name: "StoreOverloadError" = "StoreOverloadError" as const;

  /**
   * Makes an error.
   *
   * @param message What could not be done and why.
   * @param options A `cause`, where there is one.
   */
  constructor(message: string, options: CircuitBreakerStoreErrorOptions = {}) {
    super(message, options);
    brand(this, "StoreOverloadError");
  }
}

/**
 * Whether a value is a {@linkcode CircuitBreakerStoreError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` for every error class of this package.
 *
 * @example
 * ```ts
 * import { assert, assertFalse } from "@std/assert";
 * import { CircuitBreakerStoreError, isCircuitBreakerStoreError } from "@circuit-breaker/postgres";
 *
 * assert(isCircuitBreakerStoreError(new CircuitBreakerStoreError("Cannot read circuit: gone")));
 * assertFalse(isCircuitBreakerStoreError(new Error("something else")));
 * ```
 */
export function isCircuitBreakerStoreError(value: unknown): value is CircuitBreakerStoreError {
  return hasBrand(value, "CircuitBreakerStoreError");
}

/**
 * Whether a value is a {@linkcode SchemaError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where the table is missing, foreign, outdated or too new.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isSchemaError, SchemaError } from "@circuit-breaker/postgres";
 *
 * assert(isSchemaError(new SchemaError("Cannot read circuit: table is missing")));
 * ```
 */
export function isSchemaError(value: unknown): value is SchemaError {
  return hasBrand(value, "SchemaError");
}

/**
 * Whether a value is a {@linkcode StoreTimeoutError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where an operation did not end in time.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreTimeoutError, StoreTimeoutError } from "@circuit-breaker/postgres";
 *
 * assert(isStoreTimeoutError(new StoreTimeoutError("Cannot read circuit: no answer")));
 * ```
 */
export function isStoreTimeoutError(value: unknown): value is StoreTimeoutError {
  return hasBrand(value, "StoreTimeoutError");
}

/**
 * Whether a value is a {@linkcode StoreUnavailableError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where the database could not be used.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreUnavailableError, StoreUnavailableError } from "@circuit-breaker/postgres";
 *
 * assert(isStoreUnavailableError(new StoreUnavailableError("Cannot read circuit: gone")));
 * ```
 */
export function isStoreUnavailableError(value: unknown): value is StoreUnavailableError {
  return hasBrand(value, "StoreUnavailableError");
}

/**
 * Whether a value is a {@linkcode StoreOverloadError}, also one of another copy of this package.
 *
 * @param value Anything that was caught.
 * @returns `true` where too many calls were waiting already.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isStoreOverloadError, StoreOverloadError } from "@circuit-breaker/postgres";
 *
 * assert(isStoreOverloadError(new StoreOverloadError("Cannot accept call: too many wait")));
 * ```
 */
export function isStoreOverloadError(value: unknown): value is StoreOverloadError {
  return hasBrand(value, "StoreOverloadError");
}

/** Whether an error says that the database cannot be used at the moment. It begins an outage. */
export function isOutage(error: unknown): error is Error {
  return isStoreTimeoutError(error) || isStoreUnavailableError(error);
}

/**
 * Whether a call got no answer from the database because of an outage, or because the instance is
 * overloaded. Local circuits can answer such a call. An overload alone begins no outage.
 */
export function isUnavailable(error: unknown): error is Error {
  return isOutage(error) || isStoreOverloadError(error);
}
