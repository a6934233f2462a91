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
  /**
   * How long an open circuit refuses traffic before probes are let through, in milliseconds, by the
   * database's clock. With it, `getState` admits exactly `halfOpenMax` probes per round over all
   * instances: the winner gets `half-open`, everyone else `open`. The same option as the policy's:
   * all instances, and the policy, should agree on it.
   *
   * @default {undefined} probing is left to the policy of each instance
   */
  resetTimeoutMs?: number;
  /**
   * How many probes a round admits over all instances, a whole number from 1. The policy's option of
   * the same name. Without `resetTimeoutMs` only the policy reads it.
   *
   * @default {1}
   */
  halfOpenMax?: number;
  /**
   * How long a probe may take, in milliseconds, before its slot is given to another: the lease of an
   * instance that crashed ends after it. Choose more than the upstream's own timeout. Needs
   * `resetTimeoutMs`.
   *
   * @default {Math.max(resetTimeoutMs, 10_000)}
   */
  probeTimeoutMs?: number;
  /**
   * How many failures open a circuit, a whole number from 1: the policy's option of the same name.
   * The policy decides; the store uses it to tell a late probe result from a circuit that really is
   * due to open, and as the least that `failureWindowMs` counts exactly.
   *
   * @default {undefined}
   */
  failureThreshold?: number;
  /**
   * Only failures of the last so many milliseconds count, exactly, also in what is read. Needs
   * `failureThreshold`. Counts are exact up to 1000 failures in the window, or `failureThreshold`
   * where that is more, and stop there.
   *
   * @default {undefined} failures count until the circuit closes
   */
  failureWindowMs?: number;
  /**
   * How long any call may take, in milliseconds: it ends by then, with its result or with
   * `StoreTimeoutError`, whatever the database, the pool or the network does.
   *
   * @default {1000}
   */
  timeoutMs?: number;
  /**
   * What calls do while the database cannot be used. `throw` reports it, at once during a known
   * outage. `local` keeps breaking per instance, from what this instance last knew of each circuit
   * (the 10,000 circuits used last), and answers in microseconds. Either way one background check
   * asks the database again, at random moments up to a second apart, and the store returns to it by
   * itself; what happened locally is dropped then and never overwrites the database.
   *
   * @default {"throw"}
   */
  onOutage?: "throw" | "local";
  /**
   * Called when an outage begins, with the error that showed it, and when it has ended.
   *
   * @default {undefined}
   */
  onOutageChange?: (change: OutageChange) => void;
  /**
   * How old the snapshots may be that `getState` answers with, in milliseconds, from 0. Circuits in
   * use are then kept in this instance's memory and refreshed in the background, by one statement
   * per interval for all of them, so that a request on a busy circuit never waits for the database;
   * an older snapshot is never answered, but asked for anew. A client that can `listen` learns of
   * changes of other instances within milliseconds besides.
   *
   * Successes on a closed circuit are then acknowledged at once and counted with the next refresh:
   * a crash can lose those of the last interval, and so can a refresh of which nobody knows whether
   * the database carried it out. Failures, transitions, probes, forces and resets reach the database
   * before they resolve, as ever. End the store with `close()`, which counts what waits.
   *
   * @default {0} every call asks the database
   */
  maxStalenessMs?: number;
  /**
   * Whether recording waits until the server has written it to disk. `default` leaves that to the
   * server's own `synchronous_commit`; `relaxed` does not wait, which is faster, and a crash of the
   * server can lose the counts of its last moments (three times its `wal_writer_delay`, 0.6 s by
   * default). Transitions, probes, forces and resets always follow the server's setting.
   *
   * @default {"default"}
   */
  durability?: "default" | "relaxed";
  /**
   * Closed circuits that nobody has reported to for so many milliseconds are removed in the
   * background, by one instance at a time. Open, half-open and forced ones stay.
   *
   * @default {undefined} nothing is removed
   */
  pruneIdleMs?: number;
  /**
   * About how many circuits the table may hold, a whole number from 100: where requests choose the
   * keys (the policy's default key is the path), whoever sends requests makes the table grow. When
   * this instance has added a tenth of it, circuits in excess are removed, the ones longest idle
   * first; open, half-open and forced ones stay. Each instance may exceed it by its tenth.
   *
   * @default {undefined} no bound
   */
  maxCircuits?: number;
}

/** The begin or the end of an outage of the database, as one instance sees it. */
export interface OutageChange {
  /** Whether the database is out now. */
  isOut: boolean;
  /** What showed that it is, a `StoreTimeoutError` or `StoreUnavailableError`; absent at the end. */
  cause?: Error;
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

/**
 * Options of `InMemoryCircuitBreakerStore`: the same, so that one object serves both. Those that
 * only a database needs are checked and have nothing to do.
 */
export type InMemoryCircuitBreakerStoreOptions = PostgresCircuitBreakerStoreOptions;

/** How a store counts and admits: the part of its options that a circuit's rules need. */
export interface CircuitRules {
  /** Cluster-wide probing; `undefined` leaves it to the policy. */
  probing: ProbingRules | undefined;
  /** Failures that open a circuit, where it is known. */
  failureThreshold: number | undefined;
  /** How long a failure counts, in milliseconds; `undefined` for until the circuit closes. */
  failureWindowMs: number | undefined;
}

/** How an open circuit admits probes. Durations are in milliseconds. */
export interface ProbingRules {
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
}
