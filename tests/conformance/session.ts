/**
 * What a conformance test is given: a backend opens a session, a session holds one store over an
 * empty set of circuits. Nothing here or in the suite knows the runtime it runs on.
 */

import type {
  AcquireOptions,
  ActOptions,
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitChange,
  CircuitKey,
  CircuitListing,
  CircuitState,
  ForceOptions,
  HistoryOptions,
  ListOptions,
  Permit,
  PostgresCircuitBreakerStoreOptions,
  PruneOptions,
  ResultOptions,
  WatchOptions,
} from "../../mod.ts";

/** Everything that both the in-memory and the PostgreSQL store offer. */
export interface ConformanceStore extends CircuitBreakerStore {
  getState(key: CircuitKey): Promise<CircuitBreakerSnapshot>;
  acquire(key: CircuitKey, options?: AcquireOptions): Promise<Permit>;
  recordSuccess(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot>;
  recordFailure(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot>;
  transition(key: CircuitKey, to: CircuitState): Promise<CircuitBreakerSnapshot>;
  reset(key: CircuitKey, options?: ActOptions): Promise<void>;
  peek(key: CircuitKey): Promise<CircuitBreakerSnapshot>;
  peek(keys: readonly CircuitKey[]): Promise<CircuitBreakerSnapshot[]>;
  list(options?: ListOptions): Promise<CircuitListing[]>;
  forceOpen(key: CircuitKey, options?: ForceOptions): Promise<CircuitBreakerSnapshot>;
  forceClosed(key: CircuitKey, options?: ForceOptions): Promise<CircuitBreakerSnapshot>;
  release(key: CircuitKey, options?: ActOptions): Promise<CircuitBreakerSnapshot>;
  prune(options: PruneOptions): Promise<number>;
  watch(options?: WatchOptions): AsyncIterableIterator<CircuitChange>;
  history(options?: HistoryOptions): Promise<CircuitChange[]>;
  check(): Promise<void>;
  destroy(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The options that all stores share. */
export type StoreOptions = PostgresCircuitBreakerStoreOptions;

/** What a circuit's row says that no snapshot shows. */
export interface StoredCircuit {
  version: number;
  probeCount: number;
  probeExpiresAt: number;
  /** Changes with every write of the row, whatever was written. */
  written: string;
}

/** What only circuits in a database have. */
export interface SharedCircuits {
  /** Another instance on the same circuits. */
  another(options?: StoreOptions): ConformanceStore;
  /** The row of a circuit. */
  row(key: string): Promise<StoredCircuit | undefined>;
}

export interface ConformanceSession extends AsyncDisposable {
  readonly store: ConformanceStore;
  /** Where several instances can share the circuits. */
  readonly shared?: SharedCircuits;
}

export interface ConformanceBackend {
  readonly name: string;
  /** Whether its sessions have `shared`. */
  readonly isShared: boolean;
  /** Opens a store over an empty set of circuits. */
  open(options?: StoreOptions): Promise<ConformanceSession>;
}

export interface TestRunner {
  test(name: string, fn: () => void | Promise<void>): void;
}

/** A clock that a test sets by hand. */
export interface ManualClock {
  at: number;
}

/** A store with options, on a clock that moves by hand. */
export interface Configured {
  readonly store: ConformanceStore;
  readonly clock: ManualClock;
  /** The row of a circuit; `undefined` where there is none, or where the backend has no rows. */
  row(key: string): Promise<StoredCircuit | undefined>;
}

/** Several instances on one clock. */
export interface Fleet extends Configured {
  /** Another instance, with the same options by default. */
  another(options?: StoreOptions): ConformanceStore;
}

/** How the parts of the suite define their tests. */
export interface Suite {
  /** A test whose store uses the backend's own clock. */
  test(name: string, body: (store: ConformanceStore) => Promise<void>): void;
  /** A test whose store uses a clock that starts at 1000 and moves only by hand. */
  timed(name: string, body: (store: ConformanceStore, clock: ManualClock) => Promise<void>): void;
  /** A test whose store has options, on such a clock. */
  configured(
    name: string,
    options: StoreOptions,
    body: (configured: Configured) => Promise<void>,
  ): void;
  /** A test of several instances, for backends that can have them. */
  fleet(name: string, options: StoreOptions, body: (fleet: Fleet) => Promise<void>): void;
}

/** The label of every instance, unless a test gives another. */
export const LABEL = "gateway";

export function suiteOf(runner: TestRunner, backend: ConformanceBackend): Suite {
  const instanceId = LABEL;
  return {
    test(name, body) {
      runner.test(name, async () => {
        await using session = await backend.open({ instanceId });
        await body(session.store);
      });
    },
    timed(name, body) {
      runner.test(name, async () => {
        const clock = { at: 1000 };
        await using session = await backend.open({ instanceId, now: () => clock.at });
        await body(session.store, clock);
      });
    },
    configured(name, options, body) {
      runner.test(name, async () => {
        const clock = { at: 1000 };
        await using session = await backend.open({ instanceId, ...options, now: () => clock.at });
        const row = (key: string) => session.shared?.row(key) ?? Promise.resolve(undefined);
        await body({ store: session.store, clock, row });
      });
    },
    fleet(name, options, body) {
      if (!backend.isShared) return;
      runner.test(name, async () => {
        const clock = { at: 1000 };
        const all = { instanceId, ...options, now: () => clock.at };
        await using session = await backend.open(all);
        const { another, row } = session.shared!;
        const { store } = session;
        await body({ store, clock, row, another: (own) => another({ ...all, ...own }) });
      });
    },
  };
}

/** The snapshot of a circuit without any record. */
export const FRESH: CircuitBreakerSnapshot = {
  state: "closed",
  failureCount: 0,
  successCount: 0,
  lastFailureTime: 0,
  lastStateChange: 0,
};

export const STATES: readonly CircuitState[] = ["closed", "open", "half-open"];

/** A snapshot that differs from the fresh one as given. */
export function snapshot(changes: Partial<CircuitBreakerSnapshot>): CircuitBreakerSnapshot {
  return { ...FRESH, ...changes };
}

/** A listed circuit that differs as given from one without a change. */
export function listing(
  key: string,
  changes: Partial<CircuitListing> & { snapshot?: CircuitBreakerSnapshot },
): CircuitListing {
  const { snapshot = FRESH, ...rest } = changes;
  const unchanged = { version: 0, openedAt: 0, cause: "", actor: "" } as const;
  return { key, storedKey: key, ...snapshot, ...unchanged, votes: [], refusedCount: 0, ...rest };
}

/** The whole numbers from 1 to `count`. */
export function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

export function ascending(numbers: number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

/** Runs something that must fail, now or later, and returns what it failed with. */
export async function failureOf(action: () => unknown): Promise<unknown> {
  let value: unknown;
  try {
    value = await action();
  } catch (error) {
    return error;
  }
  throw new Error(`Expected a failure, received ${JSON.stringify(value)}`);
}
