import type { BackoffRules, RuleOptions, TripRules } from "./rule_options.ts";

/**
 * Options of `PostgresCircuitBreakerStore`. The constructor reads them once. `undefined` means the
 * same as absent.
 *
 * Stoma's `circuitBreaker` policy and others may read the same object: the store ignores a name
 * that it does not know. A name that is almost one of these (`resetTimeoutMS`, `failureTreshold`)
 * is a spelling mistake and throws a `TypeError`.
 */
export interface PostgresCircuitBreakerStoreOptions extends RuleOptions, PolicyOnlyOptions {
  /**
   * The table's name, in the form of the constructor's `table` argument. Where both are given, they
   * must name the same table.
   *
   * @default {"stoma_circuit_breakers"}
   */
  table?: string | undefined;
  /**
   * A clock in epoch milliseconds that replaces the database's, for tests and simulated time. All
   * instances that share a table must then agree on it. Snapshots are in this clock as well.
   *
   * @default {undefined} the database's clock, translated into the caller's `Date.now()`
   */
  now?: (() => number) | undefined;
  /**
   * How long an open circuit refuses traffic before the store admits probes, in milliseconds, by
   * the database's clock. With it, `getState` admits exactly `halfOpenMax` probes per round over
   * all instances: a probe gets `half-open`, every other caller gets `open`. It is the policy's
   * option of the same name: all instances, and the policy, should have the same value.
   *
   * The policy's `onStateChange` then never reports `open` to `half-open`, because the store makes that
   * move and answers `half-open` already. `watch` delivers every change of every instance.
   *
   * @default {undefined} probing is left to the policy of each instance; 30,000 with `trip: "store"`
   */
  resetTimeoutMs?: number | undefined;
  /**
   * How many probes a round admits over all instances, a whole number from 1. It is the policy's
   * option of the same name. Without `resetTimeoutMs` only the policy reads it. The policy also counts
   * the probes of its own instance: one with a lower `halfOpenMax` than its store refuses probes that
   * the store admitted, and their slots come back only after `probeTimeoutMs`.
   *
   * @default {1}
   */
  halfOpenMax?: number | undefined;
  /**
   * How long a probe may take, in milliseconds. After it the store admits another probe instead, so
   * that an instance that crashed does not keep the circuit shut. An instance whose own probe has not
   * ended waits twice as long before it sends another. Choose more than the upstream's own timeout.
   * Needs `resetTimeoutMs`.
   *
   * @default {Math.max(resetTimeoutMs, 10_000)}
   */
  probeTimeoutMs?: number | undefined;
  /**
   * How long any call may take, in milliseconds. Then it ends with a `StoreTimeoutError`, whatever
   * the database, the pool or the network does.
   *
   * @default {1000}
   */
  timeoutMs?: number | undefined;
  /**
   * What calls do while the database cannot be used. With `throw` they reject, at once during a
   * known outage. With `local` each instance keeps breaking by itself: it answers from memory, and
   * begins with what it last knew of the 10,000 circuits that it used last. In both cases one
   * background check asks the database again, at random moments up to a second apart, and the store
   * returns to the database by itself. It drops then what happened locally, and never writes it to
   * the database.
   *
   * A process that was frozen can find that its connections have ended. That is no outage: reads are sent
   * again. A result or a transition that was lost with its connection rejects with a
   * `StoreUnavailableError`, with `local` as well, because the database may not have it.
   *
   * @default {"throw"}
   */
  onOutage?: "throw" | "local" | undefined;
  /**
   * Called when an outage begins, with the error that began it, and when it has ended.
   *
   * @default {undefined}
   */
  onOutageChange?: ((change: OutageChange) => void) | undefined;
  /**
   * Called with each error of the store's background work, and with each error that a statement of
   * a call ends with. Stoma's policy lets a request through when its store fails, and logs nothing:
   * without this function a missing table or grant means no breaker and no message. The store
   * reports the first error of a kind (its class and SQLSTATE) at once, and later ones of that kind
   * at most once a minute. It ignores what the function throws.
   *
   * @default {undefined}
   */
  onError?: ((error: Error) => void) | undefined;
  /**
   * How old a state that `getState` returns may be, in milliseconds, from 0. Above 0 this instance
   * keeps the circuits in use in its memory. One statement per interval reads what has changed in the
   * fleet, so that a request on a busy circuit does not wait for the database. `getState` never
   * returns an older state: it asks the database instead. With a client that can `listen`, changes of
   * other instances also show within milliseconds. Counters from memory are the last that this
   * instance read, and its own since then. What a record returns is exact, but for the successes that
   * wait to be counted (`countWithinMs`).
   *
   * A success on a closed circuit is then acknowledged at once and counted later. A crash of the
   * process can lose it. Failures, transitions, probes, forces and resets are in the database before
   * they resolve, as without this option. End the store with `close()`, which counts what waits.
   *
   * @default {0} every call asks the database
   */
  maxStalenessMs?: number | undefined;
  /**
   * Within how many milliseconds the database counts a success that was acknowledged from memory, a
   * positive number. Needs `maxStalenessMs`. A short time costs the database more statements. A crash
   * of the process can lose the successes of this time.
   *
   * @default {60_000}
   */
  countWithinMs?: number | undefined;
  /**
   * Whether recording waits until the server has written to its disk. `default` follows the
   * server's `synchronous_commit`. `relaxed` does not wait, which is faster, and a crash of the
   * server can lose the counts of its last moments: three times its `wal_writer_delay`, according
   * to PostgreSQL's manual, which is 0.6 s by default. Transitions, probes, forces and resets
   * always follow the server's setting.
   *
   * @default {"default"}
   */
  durability?: "default" | "relaxed" | undefined;
  /**
   * The store removes closed circuits without a result for this many milliseconds, in the
   * background and by one instance at a time. Open, half-open and forced circuits stay.
   *
   * @default {undefined} nothing is removed
   */
  pruneIdleMs?: number | undefined;
  /**
   * About how many circuits the table may hold, a whole number from 100. Where requests choose the
   * keys (the policy's default key is the path), a flood of requests makes the table grow. When
   * this instance has added a tenth of the bound, it removes the circuits in excess, the longest
   * idle first. Open, half-open and forced circuits stay. Each instance may exceed the bound by its
   * tenth.
   *
   * @default {undefined} no bound
   */
  maxCircuits?: number | undefined;
  /**
   * How long the log keeps changes for `history`, and for watches that go on from a cursor, in
   * milliseconds. The store removes older ones in the background. It keeps the last change of each
   * circuit.
   *
   * @default {2_592_000_000} 30 days
   */
  historyMs?: number | undefined;
  /**
   * About how many changes the log keeps at most, a whole number from 1 to 10,000,000. The store removes
   * those in excess in the background, older ones of circuits that change often first. Instances of one
   * table should have the same bound. The store in memory keeps the last 1000 by default, and removes
   * the oldest first.
   *
   * @default {100_000}
   */
  historyRows?: number | undefined;
  /**
   * A label of this instance, from 1 to 200 characters. Changes that this store makes carry it as
   * their `actor`. The host's name or the pod's name is a good choice. All who can read the table can
   * read it, so it must be no secret.
   *
   * @default {crypto.randomUUID()} a new one for each store
   */
  instanceId?: string | undefined;
  /**
   * Keeps a request alive until a promise has settled, for runtimes that end promises, sockets and
   * timers together with their request: `waitUntil` of `cloudflare:workers` or `@vercel/functions`, or
   * `(work) => context.waitUntil(work)` of a store that is made within a request. The store calls it
   * within its methods, with promises that never reject.
   *
   * With it, no call waits for work of another call, and nothing happens between calls. Each call sends a
   * statement of its own. A call also begins what is due in the background: the check of an outage, a
   * refresh of the cache when half of `maxStalenessMs` has passed, the count of successes that wait. An
   * instance that the runtime evicts loses these successes. The store does not `listen`. `pruneIdleMs`,
   * `maxCircuits` and `quorum` need more than that and cannot be used with it: call `prune` in a
   * scheduled handler instead.
   *
   * Without it, each call rejects in Cloudflare Workers and in Vercel's edge runtime.
   *
   * @default {undefined} the store runs in a process
   */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/**
 * The beginning or the end of an outage of the database, as one instance sees it. `isOut` says which:
 * where it is `true`, there is a `cause`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type OutageChange, StoreTimeoutError } from "@circuit-breaker/postgres";
 *
 * const say = ({ isOut, cause }: OutageChange) => isOut ? `out: ${cause.message}` : "back";
 *
 * const cause = new StoreTimeoutError("Cannot wait for the database: no answer in 1000 ms");
 * assertEquals(say({ isOut: false }), "back");
 * assertEquals(say({ isOut: true, cause }), `out: ${cause.message}`);
 * ```
 */
export type OutageChange = OutageBeginning | OutageEnd;

/** An outage has begun. */
export interface OutageBeginning {
  /** The database is out. */
  isOut: true;
  /** The error that began it: a `StoreTimeoutError` or a `StoreUnavailableError`. */
  cause: Error;
}

/** An outage has ended. */
export interface OutageEnd {
  /** The database is back. */
  isOut: false;
  /** Always absent. It is declared so that one pattern can take both kinds apart. */
  cause?: undefined;
}

/** Options that only the policy reads. The store accepts them, so that both can read one object. */
export interface PolicyOnlyOptions {
  /** Read by the policy: which upstream status codes count as failures. */
  failureOn?: number[] | undefined;
  /** Read by the policy: the status code of a refused request. */
  openStatusCode?: number | undefined;
  /** Read by the policy: the circuit key of a request. */
  // deno-lint-ignore no-explicit-any
  key?: ((context: any) => string) | undefined;
  /** Read by the policy: called after each transition the policy made. */
  // deno-lint-ignore no-explicit-any
  onStateChange?: ((...change: any[]) => void | Promise<void>) | undefined;
  /** Read by the policy: which requests bypass it. */
  // deno-lint-ignore no-explicit-any
  skip?: ((context: any) => boolean | Promise<boolean>) | undefined;
  /** Read by the policy: its store. */
  store?: unknown;
}

/**
 * Options of `InMemoryCircuitBreakerStore`: the same, so that one object serves both stores. The
 * store in memory checks and ignores those that only a database needs. The class lists them.
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
  /** Who opens circuits, and by which rates. */
  trip: TripRules;
  /** How many instances have to vote before the fleet opens a circuit; `undefined` where none votes. */
  quorum: number | undefined;
  /** From which duration on a call is slow, in milliseconds; `undefined` where no call is. */
  slowCallDurationMs: number | undefined;
}

/** How an open circuit admits probes. Durations are in milliseconds. */
export interface ProbingRules {
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
  /** Probes in a row that have to succeed for the circuit to close. */
  successThreshold: number;
  /** How the reset timeout grows; `undefined` where it does not. */
  backoff: BackoffRules | undefined;
  /** How long it takes until all calls are admitted again; `undefined` for no time. */
  rampUpMs: number | undefined;
}
