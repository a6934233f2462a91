/**
 * What callers can catch. Each class carries a brand that its type guard reads, so that a guard
 * still recognises an error thrown by a second installed copy of this package.
 *
 * @module
 */

const BRAND = Symbol.for("@circuit-breaker/postgres/errors");

/** Further facts about a {@linkcode CircuitBreakerStoreError}. */
export interface CircuitBreakerStoreErrorOptions extends ErrorOptions {
  /** The SQLSTATE the server answered with, for instance `"42501"`. */
  sqlState?: string | undefined;
}

/**
 * An operation of the store failed. `cause` is the driver's error; `sqlState` is the server's
 * SQLSTATE where it gave one, whatever driver was in between.
 *
 * A store that fails says nothing about the upstream: this is not an open circuit.
 *
 * @example Telling a store's failure from a bug
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

function brand(error: Error, name: string): void {
  const names = (error as unknown as Record<symbol, string[] | undefined>)[BRAND] ?? [];
  Object.defineProperty(error, BRAND, { value: [...names, name], configurable: true });
}

function hasBrand(value: unknown, name: string): boolean {
  if (typeof value !== "object" || value === null) return false;
  const names = (value as Record<symbol, unknown>)[BRAND];
  return Array.isArray(names) && names.includes(name);
}
