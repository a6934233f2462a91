/**
 * What a conformance test is given: a backend opens a session, a session holds one store over an
 * empty set of circuits. Nothing here or in the suite knows the runtime it runs on.
 */

import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitListing,
  CircuitState,
  ListOptions,
} from "../../mod.ts";

/** Everything that both the in-memory and the PostgreSQL store offer. */
export interface ConformanceStore extends CircuitBreakerStore {
  peek(key: string): Promise<CircuitBreakerSnapshot>;
  peek(keys: readonly string[]): Promise<CircuitBreakerSnapshot[]>;
  list(options?: ListOptions): Promise<CircuitListing[]>;
  destroy(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConformanceSession extends AsyncDisposable {
  readonly store: ConformanceStore;
}

export interface ConformanceBackend {
  readonly name: string;
  /** Opens a store over an empty set of circuits. */
  open(options?: { now?: () => number }): Promise<ConformanceSession>;
}

export interface TestRunner {
  test(name: string, fn: () => void | Promise<void>): void;
}

/** A clock that a test sets by hand. */
export interface ManualClock {
  at: number;
}

/** How the parts of the suite define their tests. */
export interface Suite {
  /** A test whose store uses the backend's own clock. */
  test(name: string, body: (store: ConformanceStore) => Promise<void>): void;
  /** A test whose store uses a clock that starts at 1000 and moves only by hand. */
  timed(name: string, body: (store: ConformanceStore, clock: ManualClock) => Promise<void>): void;
}

export function suiteOf(runner: TestRunner, backend: ConformanceBackend): Suite {
  return {
    test(name, body) {
      runner.test(name, async () => {
        await using session = await backend.open();
        await body(session.store);
      });
    },
    timed(name, body) {
      runner.test(name, async () => {
        const clock = { at: 1000 };
        await using session = await backend.open({ now: () => clock.at });
        await body(session.store, clock);
      });
    },
  };
}

/** The snapshot of a circuit that nobody has recorded anything for. */
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
