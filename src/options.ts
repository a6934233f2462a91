import { describe } from "./describe.ts";

/**
 * Options of `PostgresCircuitBreakerStore`. They are read once, by the constructor; an option that
 * does not exist is an error rather than ignored.
 *
 * The options of Stoma's `circuitBreaker` policy that only the policy reads (`failureOn`,
 * `openStatusCode`, `key`, `onStateChange`, `skip`, `store`) may stand in the same object.
 */
export interface PostgresCircuitBreakerStoreOptions extends PolicyOnlyOptions {
  /**
   * A clock in epoch milliseconds that replaces the database's, for tests and simulated time. All
   * instances that share a table must then agree on it. Snapshots are in this clock as well.
   *
   * @default {undefined} the database's clock, translated into the caller's `Date.now()`
   */
  now?: () => number;
}

/** Options that only the policy reads. The store accepts them so that one object serves both. */
export interface PolicyOnlyOptions {
  /** Read by the policy: which upstream status codes count as failures. */
  failureOn?: number[];
  /** Read by the policy: the status code of a refused request. */
  openStatusCode?: number;
  /** Read by the policy: the circuit key of a request. */
  // deno-lint-ignore no-explicit-any
  key?: (context: any) => string;
  /** Read by the policy: called after each transition the policy made. */
  // deno-lint-ignore no-explicit-any
  onStateChange?: (...change: any[]) => void | Promise<void>;
  /** Read by the policy: which requests bypass it. */
  // deno-lint-ignore no-explicit-any
  skip?: (context: any) => boolean | Promise<boolean>;
  /** Read by the policy: its store. */
  store?: unknown;
}

const POLICY_ONLY: readonly string[] = [
  "failureOn",
  "openStatusCode",
  "key",
  "onStateChange",
  "skip",
  "store",
];
const STORE_OPTIONS: readonly string[] = ["now", ...POLICY_ONLY];
const MEMORY_OPTIONS: readonly string[] = ["now"];

/** The store's own options after validation. */
export interface ResolvedOptions {
  now: (() => number) | undefined;
}

/** Checks the options of a store on PostgreSQL. */
export function resolveOptions(options: PostgresCircuitBreakerStoreOptions): ResolvedOptions {
  assertNames(options, STORE_OPTIONS);
  assertFunction("now", options.now);
  return { now: options.now };
}

/** Checks the options of a store in memory. */
export function resolveMemoryOptions(options: { now?: () => number }): ResolvedOptions {
  assertNames(options, MEMORY_OPTIONS);
  assertFunction("now", options.now);
  return { now: options.now };
}

function assertNames(options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot create store: "options" must be an object, received ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw new TypeError(
      `Cannot create store: there is no option ${describe(name)}, use one of ${names.join(", ")}`,
    );
  }
}

function assertFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new TypeError(
    `Cannot create store: "${name}" must be a function, received ${describe(value)}`,
  );
}
